"""A log gets a line now and then, not a bar drawn over a bar."""

import io
import subprocess
import sys

import pytest
import tqdm

from ben_tf import plain_progress


def test_each_bar_is_a_line_and_all_else_stays():
    target = io.StringIO()
    lines = plain_progress.Lines(target)
    with tqdm.tqdm(total=2, file=lines, mininterval=0, ncols=40) as bar:
        bar.update()
        print("a message", file=lines)
        bar.update()
    print("\nthe end", file=lines)
    written = target.getvalue()
    assert "\r" not in written
    found = written.splitlines()
    # tqdm draws the last one again when it ends.
    assert [line.partition("%")[0].strip() for line in found] == [
        *("0", "50", "a message", "100", "100", "", "the end"),
    ]


@pytest.mark.parametrize("given", [None, "0"])
def test_a_command_writes_few_lines(tmp_path, given, monkeypatch):
    """Unless the user asks for more."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.delenv("TQDM_MININTERVAL", raising=False)
    if given is not None:
        monkeypatch.setenv("TQDM_MININTERVAL", given)
    program = (
        "from ben_tf import command_line\n"
        "def command():\n"
        "    def main():\n"
        "        import tqdm\n"
        "        for _ in tqdm.tqdm(range(1000), miniters=1): pass\n"
        "    return main\n"
        "command_line.run(command)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    assert "\r" not in finished.stderr
    number = len(finished.stderr.splitlines())
    assert number == 2 if given is None else number > 100
