"""What can be said of the Dockerfile without Docker."""

import fnmatch
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text()
    lines = [x for x in text.splitlines() if x and not x.startswith("#")]
    joined = re.sub(r" \\\n\s*", " ", "\n".join(lines))
    return [
        (line.split(" ", 1)[0], line.split(" ", 1)[1])
        for line in joined.splitlines()
    ]


def _values(name: str) -> list[str]:
    return [value for key, value in _instructions() if key == name]


def test_python_is_pinned_to_the_default_lane():
    images = [value.split()[0] for value in _values("FROM")]
    assert len(images) == 2
    for image in images:
        assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", image)
    assert len(set(images)) == 1


def test_it_does_not_run_as_root():
    last = [key for key, _ in _instructions()].index("USER")
    assert _values("USER") == ["1000:1000"]
    assert "RUN" not in [key for key, _ in _instructions()][last:]


def test_its_command_and_its_extra_exist():
    (entry_point,) = _values("ENTRYPOINT")
    setup = (ROOT / "setup.py").read_text()
    (command,) = json.loads(entry_point)
    assert f'"{command} = ' in setup
    (extra,) = re.findall(r"/source\[(\w+)\]", "\n".join(_values("RUN")))
    assert f"\n# [{extra}]\n" in (ROOT / "requirements.txt").read_text()


def test_only_what_the_installation_needs_gets_into_it(tmp_path):
    """setup.py runs with nothing but the files that are let through."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [x for x in lines if not x.startswith("#")]
    assert rules[0] == "*"
    let_through = [x.removeprefix("!") for x in rules if x.startswith("!")]
    assert not any(fnmatch.fnmatch("runs", x) for x in let_through)
    for name in let_through:
        (tmp_path / name).symlink_to(ROOT / name)
    result = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"\d+\.\d+\.\d+", result.stdout.split()[-1])
