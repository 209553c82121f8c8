"""Packaging; the dependencies live in requirements.txt."""

import pathlib
import re

import setuptools

HERE = pathlib.Path(__file__).parent


def read_requirements() -> dict[str, list[str]]:
    """Splits requirements.txt at its `# [name]` lines; "" is the core."""
    sections = {"": []}
    current = sections[""]
    for line in (HERE / "requirements.txt").read_text().splitlines():
        if match := re.fullmatch(r"# \[(\w+)\]", line):
            current = sections.setdefault(match.group(1), [])
        elif line and not line.startswith("#"):
            current.append(line)
    return sections


def read_version() -> str:
    """Reads `__version__` without importing the package."""
    source = (HERE / "ben_tf" / "__init__.py").read_text()
    return re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE).group(1)


requirements = read_requirements()
setuptools.setup(
    name="ben-tf",
    version=read_version(),
    description="BigEarthNet-MM in TensorFlow: data, training, retrieval",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.14",
    packages=setuptools.find_packages(
        include=["ben_tf*", "tfrecords_builder*"]
    ),
    package_data={
        "ben_tf": [
            "py.typed",
            "cards/*.jinja",
            "exchange/*.jinja",
            "experiments/*.flags",
            "pages/*.css",
            "pages/*.jinja",
            "pages/*.js",
            "plots/*.json",
        ],
        "tfrecords_builder": [
            "py.typed",
            "README.md",
            "CITATIONS.bib",
            "TAGS.txt",
            "*.tsv",
        ],
    },
    entry_points={"console_scripts": ["bigearthnet-tf = ben_tf.__main__:main"]},
    install_requires=requirements.pop(""),
    extras_require=requirements,
)
