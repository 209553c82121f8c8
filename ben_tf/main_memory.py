"""How much main memory this machine has, and how much of it is free."""

import os
import pathlib
import re

# Where Linux says what a container may take: version 2 and version 1.
_LIMITS = (
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_STATE = pathlib.Path("/proc/meminfo")


def installed_bytes() -> int:
    """Installed memory, or what a container may take of it."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *filter(None, map(_limit, _LIMITS))])


def available_bytes() -> int:
    """What programs can still take without swapping.

    All of `installed_bytes` where the system does not say so.
    """
    try:
        match = re.search(r"MemAvailable:\s*(\d+) kB", _STATE.read_text())
    except OSError:
        match = None
    installed = installed_bytes()
    return min(installed, int(match[1]) << 10) if match else installed


def _limit(path: pathlib.Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # No such file, or "max".
        return None
