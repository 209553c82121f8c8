"""A run that is ended at bad moments ends up where an unbroken one does."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf import models
from ben_tf.training import trainer
from tests.ben_tf import history
from tests.ben_tf.training import tiny_networks

pytestmark = pytest.mark.slow

_SCRIPT = pathlib.Path(__file__).with_name("interrupted_training.py")


@pytest.fixture
def config(tiny_config, monkeypatch) -> config_lib.Config:
    """Two epochs of two steps, with all that a run has to remember."""
    monkeypatch.setitem(models.MODELS, "small_cnn", None)
    tiny_networks.install(tiny_networks.stateful)
    yield dataclasses.replace(
        tiny_config,
        fusion="shared",
        embedding_loss="n_pairs",
        hash_bits=16,
        loss="class_weighted",
        precision="mixed_float16",
        optimizer="adamw",
        schedule="cosine",
        warmup_epochs=1.0,
        clip_norm=1.0,
        weight_averaging=0.5,
        augment=True,
        batch_size=4,
        epochs=2,
        train_split="train[:8]",
        validation_split="validation[:4]",
        checkpoint_every_steps=1,
        jit_compile="off",
    )
    tf.keras.mixed_precision.set_global_policy("float32")


def _state(workdir: pathlib.Path, folder: str) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints" / folder))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        # How often this process has saved; the names of its objects.
        if "save_counter" not in name and "OBJECT_GRAPH" not in name
    }


def test_a_run_resumes_from_any_moment(config, tmp_path):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    process = subprocess.run(
        [
            sys.executable,
            str(_SCRIPT),
            json.dumps(config_lib.differences_from_default(config)),
            str(broken),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert json.loads(lines[-1]) == [1, 130, -9, -9, -9, 143], process.stderr
    resumed = [line for line in lines if "resuming" in line]
    assert [line.split()[-1] for line in resumed] == ["1", "1", "1", "1"]
    assert any("by SIGINT after step 1, saved. The same" in x for x in lines)
    assert any("Stopped by SIGTERM. The same command" in x for x in lines)

    trainer.train(config, broken)
    trainer.train(config, whole)
    assert history.read(broken) == history.read(whole)
    for folder in ("last", "best"):
        expected, state = _state(whole, folder), _state(broken, folder)
        assert state.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(
                state[name], expected[name], err_msg=name
            )
