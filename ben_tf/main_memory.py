"""How much memory this machine has."""

import os
import pathlib

# Where Linux says what a container may take: version 2 and version 1.
_LIMITS = (
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def num_bytes() -> int:
    """Installed bytes, or those that a container may take of them."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *filter(None, map(_limit, _LIMITS))])


def _limit(path: pathlib.Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # No such file, or "max".
        return None
