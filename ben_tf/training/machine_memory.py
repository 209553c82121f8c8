"""How much memory this machine has for a training."""

import os
import pathlib
from typing import NamedTuple

from ben_tf.training import keras_internals

# Where Linux says what a container may take: version 2 and version 1.
_LIMITS = (
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class Memory(NamedTuple):
    """Memory that batches must fit into.

    Attributes:
      name: Whose it is, to be shown.
      num_bytes: Of each device; all CPU devices share the memory.
      is_shared: Whether all devices share it.
    """

    name: str
    num_bytes: int
    is_shared: bool


def find() -> Memory:
    """That of the smallest GPU where there is one, else the main memory."""
    gpus = keras_internals.gpu_memory_bytes()
    if gpus:
        return Memory("a GPU", min(gpus), is_shared=False)
    return Memory("this machine", _main_memory_bytes(), is_shared=True)


def _main_memory_bytes() -> int:
    """Installed bytes, or those that a container may take of them."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *filter(None, map(_limit, _LIMITS))])


def _limit(path: pathlib.Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # No such file, or "max".
        return None
