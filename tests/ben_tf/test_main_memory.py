"""The memory of the machine, as Linux tells it."""

import pathlib

import pytest

from ben_tf import main_memory


def _installed() -> int:
    """As the kernel says, in kB; `sysconf` counts pages."""
    (line,) = [
        line
        for line in pathlib.Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    ]
    return 1024 * int(line.split()[1])


@pytest.fixture
def limit(monkeypatch, tmp_path):
    """The file with the limit of a container, and no other."""
    file = tmp_path / "memory.max"
    monkeypatch.setattr(main_memory, "_LIMITS", (tmp_path / "no", file))
    return file


@pytest.mark.parametrize("content", [None, "max\n", str(1 << 62)])
def test_all_of_the_machine(limit, content):
    if content:
        limit.write_text(content)
    assert main_memory.num_bytes() == _installed()


def test_a_container_may_have_less(limit):
    limit.write_text("12345\n")
    assert main_memory.num_bytes() == 12345
