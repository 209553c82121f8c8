"""The memory of the machine, as Linux tells it."""

import pathlib

import pytest

from ben_tf import main_memory


def _kilobytes(name: str) -> int:
    """As the kernel says it."""
    (line,) = [
        line
        for line in pathlib.Path("/proc/meminfo").read_text().splitlines()
        if line.startswith(f"{name}:")
    ]
    return int(line.split()[1])


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
    assert main_memory.installed_bytes() == 1024 * _kilobytes("MemTotal")


def test_a_container_may_have_less(limit):
    limit.write_text("12345\n")
    assert main_memory.installed_bytes() == 12345
    assert main_memory.available_bytes() == 12345


def test_what_others_have_taken_is_not_available(limit, monkeypatch, tmp_path):
    state = tmp_path / "meminfo"
    monkeypatch.setattr(main_memory, "_STATE", state)
    assert main_memory.available_bytes() == main_memory.installed_bytes()
    state.write_text("MemTotal: 9 kB\nMemAvailable:      123 kB\n")
    assert main_memory.available_bytes() == 123 * 1024


def test_available_is_what_the_kernel_says(limit):
    found = main_memory.available_bytes()
    # Other programs take and free some meanwhile.
    assert 0 < found <= main_memory.installed_bytes()
    assert abs(found / 1024 / _kilobytes("MemAvailable") - 1) < 0.5
