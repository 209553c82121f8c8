"""A wheel holds the two packages whole and nothing else, and it works."""

import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest

import ben_tf

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent
PACKAGES = ("ben_tf", "tfrecords_builder")
NOT_SOURCE = shutil.ignore_patterns(
    *(".*", "__pycache__", "*.egg-info", "build", "dist", "quickstart"),
    *("sample", "runs"),  # What the notebooks write next to themselves.
)


def _files_of_packages() -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, pathlib.Path]:
    """The sdist, and the wheel that was built from that sdist."""
    folder = tmp_path_factory.mktemp("packaging")
    # A copy: setuptools takes what an earlier *.egg-info lists into the sdist.
    shutil.copytree(ROOT, folder / "source", ignore=NOT_SOURCE)
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--no-isolation"),
            *("--outdir", folder / "dist", folder / "source"),
        ],
        check=True,
        capture_output=True,
    )
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def test_wheel_holds_the_packages_and_nothing_else(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == _files_of_packages()


def test_sdist_holds_tests_and_all_that_they_need(built):
    with tarfile.open(built["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    needed = {
        str(path.relative_to(ROOT))
        for pattern in (
            "benchmarks/*.py",
            "docs/*.md",
            "docs/*.py",
            "docs/*/*.css",
            "docs/*/*.jpg",
            "notebooks/*.ipynb",
            "tests/**/*.py",
        )
        for path in ROOT.glob(pattern)
    }
    assert names >= needed | _files_of_packages()
    assert names >= {"LICENSE", "Makefile", "README.md", "requirements.txt"}
    assert not any(name.endswith(".pyc") for name in names)


@pytest.fixture(scope="module")
def fresh_python(built, tmp_path_factory) -> pathlib.Path:
    """A new virtual environment with the wheel.

    The dependencies are those of the running environment, without what that
    has installed in editable mode: a folder that a .pth file adds has its own
    .pth files ignored.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    (site_packages,) = folder.glob("lib/*/site-packages")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-index", "--no-compile", "--target", site_packages),
            built["wheel"],
        ],
        check=True,
    )
    (site_packages / "dependencies.pth").write_text(
        sysconfig.get_path("purelib")
    )
    return folder / "bin" / "python"


def test_a_fresh_environment_finds_every_file(fresh_python, tmp_path):
    """By where the packages are: importing them all would take TensorFlow."""
    code = f"""
import importlib.metadata, importlib.util, pathlib
import ben_tf
assert importlib.metadata.version("ben-tf") == ben_tf.__version__
for name in {PACKAGES!r}:
    folder = pathlib.Path(importlib.util.find_spec(name).origin).parents[1]
    assert folder.is_relative_to({str(fresh_python.parent.parent)!r}), folder
    for file in {sorted(_files_of_packages())!r}:
        assert (folder / file).is_file(), file
"""
    # -I: nothing but the environment, whatever PYTHONPATH says.
    subprocess.run([fresh_python, "-I", "-c", code], cwd=tmp_path, check=True)


def test_templates_style_and_script_come_with_the_wheel(fresh_python, tmp_path):
    code = """
from ben_tf.pages import page
from ben_tf.plots import outlines
names = page._TEMPLATES.list_templates(extensions=["jinja"])
assert {"run.html.jinja", "search.html.jinja"} <= {*names}
for name in names:
    page._TEMPLATES.get_template(name)
assert "addEventListener" in page.read_asset("page.js")
assert "--ink" in page.read_asset("page.css")
assert "PatchMap" in page.read_asset("search_map.js")
assert outlines.lines()
"""
    subprocess.run([fresh_python, "-I", "-c", code], cwd=tmp_path, check=True)


# `python -m COMMAND --help` for each, in copies of one process: starting
# Python and importing TensorFlow Datasets for each would take far longer.
_HELP_OF_ALL = """
import os, runpy, sys
import tfrecords_builder
for command in sys.argv[1:]:
    if not os.fork():
        sys.stdout = open(command, "w")
        sys.argv = [command, "--help"]
        runpy.run_module(command, run_name="__main__", alter_sys=True)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0, command
"""


def test_one_name_for_all_commands(fresh_python, tmp_path):
    # pip leaves scripts out where it installs to a folder.
    code = """
import importlib.metadata, sys
(script,) = importlib.metadata.distribution("ben-tf").entry_points
assert script.group == "console_scripts" and script.name == "bigearthnet-tf"
sys.argv = ["bigearthnet-tf", "train", "--help"]
script.load()()
"""
    result = subprocess.run(
        [fresh_python, "-I", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "--workdir=PATH" in result.stdout


def test_commands_explain_themselves(fresh_python, tmp_path):
    commands = [
        name.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
        for name in sorted(_files_of_packages())
        if name.endswith(".py")
        and 'if __name__ == "__main__":' in (ROOT / name).read_text()
    ]
    assert {"ben_tf.train", "ben_tf.predict"} < set(commands)
    result = subprocess.run(
        [fresh_python, "-I", "-c", _HELP_OF_ALL, *commands],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    for command in commands:
        assert f"python -m {command}" in (tmp_path / command).read_text()


def test_the_version_stands_in_one_place():
    assert importlib.metadata.version("ben-tf") == ben_tf.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert citation.startswith("cff-version:")
    assert not re.search(r"^version:", citation, re.MULTILINE)
