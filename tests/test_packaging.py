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

ROOT = pathlib.Path(__file__).parent.parent
PACKAGES = ("ben_tf", "tfrecords_builder")
NOT_SOURCE = shutil.ignore_patterns(
    *(".*", "__pycache__", "*.egg-info", "build", "dist", "quickstart"),
    *("sample", "runs"),  # What the notebooks write beside themselves.
)
COMMANDS = (
    "ben_tf.evaluate",
    "ben_tf.predict",
    "ben_tf.quickstart",
    "ben_tf.report",
    "ben_tf.retrieval",
    "ben_tf.train",
    "tfrecords_builder.build",
    "tfrecords_builder.sample_archive",
    "tfrecords_builder.verify",
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
    python = folder / "bin" / "python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python, "install"),
            *("--quiet", "--no-deps", "--no-index", built["wheel"]),
        ],
        check=True,
    )
    (site_packages,) = folder.glob("lib/*/site-packages")
    (site_packages / "dependencies.pth").write_text(
        sysconfig.get_path("purelib")
    )
    return python


def test_every_module_is_found_from_a_fresh_environment(fresh_python, tmp_path):
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in _files_of_packages()
        if name.endswith(".py")
    )
    code = f"""
import importlib.metadata, importlib.util
import ben_tf
assert importlib.metadata.version("ben-tf") == ben_tf.__version__
for name in {modules!r}:
    found = importlib.util.find_spec(name).origin
    assert found.startswith({str(fresh_python.parent.parent)!r}), found
"""
    subprocess.run([fresh_python, "-c", code], cwd=tmp_path, check=True)


def test_templates_style_and_script_come_with_the_wheel(fresh_python, tmp_path):
    code = """
from ben_tf.pages import page
empty = page.Table([], [])
text = page.render("comparison", evaluations={}, reasons={}, headlines=empty,
                   classes=empty, paper_source="the paper")
assert "</html>" in text and "addEventListener" in text and "--ink" in text
"""
    subprocess.run([fresh_python, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_explain_themselves(fresh_python, tmp_path, command):
    result = subprocess.run(
        [fresh_python, "-m", command, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert f"python -m {command}" in result.stdout
    assert "Traceback" not in result.stderr


def test_the_version_stands_in_one_place():
    assert importlib.metadata.version("ben-tf") == ben_tf.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert citation.startswith("cff-version:")
    assert not re.search(r"^version:", citation, re.MULTILINE)
