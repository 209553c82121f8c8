"""When the images of a scene were taken."""

import datetime
import os
import pathlib
from collections.abc import Sequence

from ben_tf.scenes import s2_metadata
from ben_tf.scenes import s2_product


def times_of(
    *,
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
    image_paths: Sequence[str | os.PathLike] = (),
) -> tuple[datetime.datetime, datetime.datetime] | None:
    """The first and the last time (UTC), as far as files say them.

    Args:
      s2_scene: See `s2_product.sensing_time`.
      s1_scene: A file: what its name says.
      image_paths: Files, likewise.

    Returns:
      Both are the same for one time; None where nothing says a time.
    """
    found = []
    if s2_scene:
        found.append(s2_product.sensing_time(s2_scene))
    found += [
        s2_metadata.time_in(pathlib.Path(path).name)
        for path in (s1_scene, *image_paths)
        if path
    ]
    times = [time for time in found if time]
    return (min(times), max(times)) if times else None
