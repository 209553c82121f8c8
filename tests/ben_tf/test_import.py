"""Importing the library leaves the program that does so as it was.

Each test is a process: what an import does can be seen once only.
"""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
HAS_TF_KERAS = importlib.util.find_spec("tf_keras") is not None
# What `import ben_tf` may set, unless it is set.
VARIABLES = {"TF_ENABLE_ONEDNN_OPTS": "1"}
if HAS_TF_KERAS:
    VARIABLES["TF_USE_LEGACY_KERAS"] = "1"

# TensorFlow's own words at its import are not ours.
AFTER_TENSORFLOW = """
import os
saved = os.dup(2)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
import tensorflow
os.dup2(saved, 2)
"""
LIGHT = "import ben_tf, ben_tf.config, ben_tf.data, tfrecords_builder\n"
ALL = LIGHT + (
    "import ben_tf.models, ben_tf.data.input_pipeline, ben_tf.evaluation\n"
    "import ben_tf.training.trainer, tfrecords_builder.dataset\n"
)


def run(program: str, **variables: str) -> subprocess.CompletedProcess:
    """Runs it without the variables that we set, but for those given."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS"}
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "PYTHONPATH": os.getcwd(), **variables},
        capture_output=True,
        text=True,
    )


def changes(imports: str, **variables: str) -> dict[str, str]:
    """What imports change in the environment; they print nothing."""
    finished = run(
        "import os\nbefore = dict(os.environ)\n"
        f"{imports}"
        "import json, os\n"
        "assert before.keys() <= os.environ.keys()\n"
        "print(json.dumps({x: y for x, y in os.environ.items()"
        " if before.get(x) != y}))",
        **variables,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return json.loads(finished.stdout)


def test_what_is_set():
    assert changes(LIGHT) == VARIABLES


def test_nothing_that_is_set_already():
    set_before = {**VARIABLES, "TF_ENABLE_ONEDNN_OPTS": "0"}
    assert changes(LIGHT, **set_before) == {}


@pytest.mark.slow
def test_after_tensorflow():
    found = changes(
        f"{AFTER_TENSORFLOW}before = dict(os.environ)\n{ALL}"
        "assert tensorflow.keras.__name__.startswith('keras.api._v2')"
        " or 'tf_keras' in tensorflow.keras.Model.__module__\n",
        **VARIABLES,
    )
    assert found == {}


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TF_KERAS, reason="TensorFlow has Keras 2 itself")
def test_after_a_tensorflow_with_keras_3():
    finished = run(f"{AFTER_TENSORFLOW}import ben_tf")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == (
        "ImportError: ben_tf needs Keras 2, and TensorFlow is set to Keras 3. "
        "Import ben_tf before tensorflow, or set the environment variable "
        "TF_USE_LEGACY_KERAS=1."
    )


@pytest.mark.skipif(not HAS_TF_KERAS, reason="TensorFlow has Keras 2 itself")
def test_keras_3_that_was_asked_for():
    finished = run("import ben_tf", TF_USE_LEGACY_KERAS="0")
    assert finished.returncode == 1
    assert "ImportError: ben_tf needs Keras 2" in finished.stderr


def test_every_variable_that_is_set_is_documented():
    pattern = r"""os\.environ(?:\.setdefault\(|\[)([\w"]+)(?:,|\] =)"""
    found = set()
    for package in ("ben_tf", "tfrecords_builder"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            for name in re.findall(pattern, text):
                constant = re.search(rf"^{name} = (.+)$", text, re.MULTILINE)
                found.add((constant[1] if constant else name).strip('"'))
    assert found > VARIABLES.keys()
    documented = (ROOT / "docs" / "api.md").read_text()
    assert all(f"`{name}" in documented for name in found)
