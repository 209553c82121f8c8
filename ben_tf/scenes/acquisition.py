"""When the images of a scene were taken."""

import datetime
import os
import pathlib
import re
from collections.abc import Sequence

from ben_tf.scenes import s2_product

# 20170613T101031 in the names of products, bands and exports.
_TIME = re.compile(r"(?<!\d)(20\d{6}T\d{6})(?!\d)")


def times_of(
    *,
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
    image_paths: Sequence[str | os.PathLike] = (),
) -> tuple[datetime.datetime, datetime.datetime] | None:
    """The first and the last time (UTC), as far as files say them.

    Args:
      s2_scene: A product or a folder of bands: what its metadata say, else
        its name.
      s1_scene: A file: what its name says.
      image_paths: Files, likewise.

    Returns:
      Both are the same for one time; None where nothing says a time.
    """
    found = []
    if s2_scene:
        found.append(
            s2_product.sensing_time(s2_scene) or time_in(pathlib.Path(s2_scene))
        )
    found += [time_in(pathlib.Path(x)) for x in (s1_scene, *image_paths) if x]
    times = [time for time in found if time]
    return (min(times), max(times)) if times else None


def time_in(path: pathlib.Path) -> datetime.datetime | None:
    """The first time in a name, which is that of the acquisition."""
    for text in _TIME.findall(path.name):
        try:
            time = datetime.datetime.strptime(text, "%Y%m%dT%H%M%S")
        except ValueError:
            continue
        return time.replace(tzinfo=datetime.UTC)
    return None
