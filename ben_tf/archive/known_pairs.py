"""The pairs that a version of BigEarthNet consists of."""

import os
import pathlib
import types
from collections.abc import Callable
from collections.abc import Mapping

from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import own_table

Pairs = Mapping[str, official_lists.OfficialPatch]


def read(version: str, archive_dir: str | os.PathLike[str]) -> Pairs:
    """Returns the pairs by S2 name.

    Args:
      version: Key of `layout.LAYOUTS`.
      archive_dir: Folder that holds the `tables` of the version's layout: of
        the archive, or of a dataset that was built of it. Of own data also the
        table itself.

    Raises:
      errors.UserError: A table is missing or damaged.
    """
    return _READERS[version](archive_dir)


def _of_v1(archive_dir: str | os.PathLike[str]) -> Pairs:
    # They come with a package.
    del archive_dir
    return official_lists.official_patches()


def _of_v2(archive_dir: str | os.PathLike[str]) -> Pairs:
    # Here, because pyarrow takes a while to import.
    from ben_tf.archive import v2_lists

    return v2_lists.read(archive_dir)


def _own(archive_dir: str | os.PathLike[str]) -> Pairs:
    path = pathlib.Path(archive_dir)
    return own_table.read_list(
        path / own_table.LIST_FILE if path.is_dir() else path
    )


_READERS: Mapping[str, Callable[[str | os.PathLike[str]], Pairs]] = (
    types.MappingProxyType(
        {
            layout.V1.version: _of_v1,
            layout.V2.version: _of_v2,
            layout.OWN.version: _own,
        }
    )
)
