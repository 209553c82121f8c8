"""Several devices, and several workers, train what one device trains.

They add the same numbers in another order. A float32 sum of some hundred terms
differs by about 1e-6 of its value then, and Adam's quotient passes that on to
the weights, so losses and scores of the epochs have to agree to 1e-5.
"""

import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
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

_SCRIPT = pathlib.Path(__file__).with_name("distributed_training.py")
_TIMEOUT_S = 300


@pytest.fixture(scope="module")
def config(tiny_config) -> config_lib.Config:
    """Two epochs of four steps; the last batch of validation is smaller."""
    return dataclasses.replace(
        tiny_config,
        modality="S1",
        epochs=2,
        batch_size=4,
        validation_split="validation[:5]",
        checkpoint_every_steps=1,
        strategy="one_device",
        jit_compile="off",
    )


def _start(config, workdir, *options, **variables) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable,
            str(_SCRIPT),
            json.dumps(config_lib.differences_from_default(config)),
            str(workdir),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), **variables},
    )


def _end(*processes: subprocess.Popen, expected: int = 0) -> list[str]:
    """Waits for processes; returns what each printed."""
    try:
        outputs = [x.communicate(timeout=_TIMEOUT_S) for x in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == expected, errors
    return [output for output, _ in outputs]


def _numbers(workdir: pathlib.Path) -> list[dict[str, float]]:
    return [
        {name: float(value) for name, value in row.items()}
        for row in history.read(workdir)
    ]


def _assert_same_curves(workdir, expected) -> None:
    rows = _numbers(workdir)
    assert len(rows) == len(expected) == 2
    for row, expected_row in zip(rows, expected, strict=True):
        assert row == pytest.approx(expected_row, rel=1e-5)


@pytest.fixture(scope="module")
def one_device(config, tmp_path_factory) -> list[dict[str, float]]:
    """The history of one device."""
    workdir = tmp_path_factory.mktemp("one_device")
    with pytest.MonkeyPatch.context() as patches:
        patches.setitem(models.MODELS, "small_cnn", None)
        tiny_networks.install(tiny_networks.smooth)
        trainer.train(config, workdir)
    return _numbers(workdir)


def test_two_devices_train_as_one_and_foresee_it(config, one_device, tmp_path):
    config = dataclasses.replace(config, strategy="mirrored")
    (output,) = _end(_start(config, tmp_path, "--num_devices=2", "--dry_run"))
    _assert_same_curves(tmp_path, one_device)
    assert "4 of 4 patches an epoch, 8 in all 2 epochs" in output
    assert re.search(r"time +about .* 3 measured steps of 4 patches", output)


def _clusters() -> list[str]:
    """TF_CONFIG of each of two workers on free ports of this machine."""
    with socket.socket() as first, socket.socket() as second:
        addresses = []
        for sock in (first, second):
            sock.bind(("localhost", 0))
            addresses.append(f"localhost:{sock.getsockname()[1]}")
    return [
        json.dumps(
            {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
        )
        for index in range(2)
    ]


def test_lost_workers_come_back_and_two_train_as_one(
    config, one_device, tmp_path
):
    """Whoever is left starts itself anew and waits.

    In the second epoch the worker is killed after step 5, the chief after
    step 6, and the worker that came back is terminated after step 7. The
    process that is left starts anew with its own arguments, which is why the
    chief and the second worker have an end of their own from the start.
    """
    workdir, temporary = tmp_path / "run", tmp_path / "temporary"
    temporary.mkdir()
    config = dataclasses.replace(config, strategy="multi_worker")
    clusters = _clusters()
    started = []

    def start(index, *options):
        started.append(
            _start(
                config,
                workdir,
                *options,
                TF_CONFIG=clusters[index],
                TMPDIR=str(temporary),
            )
        )
        return started[-1]

    try:
        chief = start(0, "--end_after_step=6")
        worker = start(1, "--end_after_step=5")
        _end(worker, expected=-signal.SIGKILL)
        worker = start(1, "--end_after_step=7", f"--signal={signal.SIGTERM:d}")
        outputs = _end(chief, expected=-signal.SIGKILL)
        chief = start(0)
        outputs += _end(worker, expected=143)
        worker = start(1)
        outputs += _end(chief, worker)
    finally:
        for process in started:
            process.kill()
    # Chief, worker, chief; the last worker has met no loss.
    assert [
        output.count("Lost a worker. Waiting for it") for output in outputs
    ] == [1, 1, 1, 0]
    # Whether the last step was saved depends on how far the chief was.
    resumed = [
        [int(step) for step in re.findall(r"resuming after step (\d)", output)]
        for output in outputs
    ]
    (of_chief,), of_worker, of_last_chief, of_last_worker = resumed
    assert of_worker == [of_chief, of_last_chief[0]]
    assert of_last_chief[1:] == of_last_worker
    assert of_chief in (4, 5)
    assert of_last_chief[0] in (5, 6)
    assert of_last_chief[1] in (6, 7)
    _assert_same_curves(workdir, one_device)
    assert (workdir / "saved_model" / "saved_model.pb").exists()
    names = {path.name for path in workdir.iterdir()}
    assert names == {
        ".lock",
        "checkpoints",
        "config.json",
        "data.json",
        "history.csv",
        "logs",
        "saved_model",
    }


def test_a_lost_worker_leaves_no_trace_in_what_is_exported(config, tmp_path):
    """Not in the statistics of normalisation either, which differ by device."""
    config = dataclasses.replace(config, strategy="multi_worker")
    clusters = _clusters()

    def start(index, *options):
        return _start(
            config,
            workdir,
            "--network=stateful",
            *options,
            TF_CONFIG=clusters[index],
        )

    exported = []
    for options in ([], ["--end_after_step=5"]):
        workdir = tmp_path / f"{len(options)}_killed"
        processes = [start(0), start(1, *options)]
        try:
            if options:
                _end(processes.pop(), expected=-signal.SIGKILL)
                processes.append(start(1))
            _end(*processes)
        finally:
            for process in processes:
                process.kill()
        exported.append(_exported_weights(workdir))
    unbroken, resumed = exported
    assert any("moving_variance" in name for name in unbroken)
    assert resumed.keys() == unbroken.keys()
    for name, values in unbroken.items():
        np.testing.assert_array_equal(resumed[name], values, err_msg=name)


def _exported_weights(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    """By name: `saved_model.load` refuses a network of the tests."""
    module = tf.saved_model.load(str(workdir / "saved_model"))
    return {x.name: x.numpy() for x in module.variables_of_model}
