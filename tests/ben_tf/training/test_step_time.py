"""Steps are measured within limits of time and memory."""

import dataclasses
import signal
import time

import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.training import devices
from ben_tf.training import runs
from ben_tf.training import step_time

_BATCH_SIZE = 8


@pytest.fixture(scope="module")
def run(tiny_config) -> runs.Run:
    """Sentinel-1 alone, in 3 steps of 8 patches."""
    config = dataclasses.replace(
        tiny_config,
        modality="S1",
        batch_size=_BATCH_SIZE,
        train_split="train[:24]",
    )
    return runs.make_run(
        config,
        built_dataset.open_dataset(config.data_dir),
        devices.make_devices("one_device"),
    )


@pytest.fixture
def asked(monkeypatch):
    """What `_steps` was asked for; answers as a step of 0.1 s a patch would."""
    asked = []

    def steps(run, num_patches, **_):
        asked.append(num_patches)
        each = 0.1 * num_patches
        return step_time.StepTime(num_patches, 10.0, (each, each))

    monkeypatch.setattr(step_time, "_steps", steps)
    return asked


@pytest.mark.slow
def test_the_first_step_is_left_out(run):
    found = step_time.measure(run, most_patches=_BATCH_SIZE, limit_s=300)
    assert found.patches == _BATCH_SIZE
    assert len(found.step_s) == 2
    assert 0 < min(found.step_s) < found.compilation_s
    assert found.patch_s == pytest.approx(sum(found.step_s) / 16)


@pytest.mark.parametrize(
    ("limit_s", "most", "expected"),
    [
        # Less than the second compilation takes.
        (10, 500, [4]),
        # 19 s for three steps of 0.1 s a patch.
        (29.001, 500, [4, 63]),
        (1000, 500, [4, 500]),
        (1000, 3, [3]),
    ],
)
def test_the_batch_is_what_time_and_memory_allow(
    run, asked, limit_s, most, expected
):
    found = step_time.measure(run, most_patches=most, limit_s=limit_s)
    assert asked == expected
    assert found.patches == expected[-1]


def test_several_workers_take_the_same_steps(run, asked, monkeypatch):
    """Their memory and their clocks may differ."""
    monkeypatch.setattr(devices.Devices, "num_workers", 2)
    for limit_s, most in ((0, 1), (1000, 5)):
        step_time.measure(run, most_patches=most, limit_s=limit_s)
    assert asked == [_BATCH_SIZE, _BATCH_SIZE]


def test_too_few_patches(run):
    short = dataclasses.replace(run, steps_per_epoch=1)
    assert step_time.measure(short, most_patches=4, limit_s=60) is None


def test_out_of_time_is_no_error(run, monkeypatch):
    """What takes long is Python's own code, such as building a graph."""

    def build_for_long(*args, **kwargs):
        while True:
            time.monotonic()

    monkeypatch.setattr(run.fitted, "fit", build_for_long)
    before = signal.getsignal(signal.SIGALRM)
    assert step_time.measure(run, most_patches=8, limit_s=0.1) is None
    assert step_time.measure(run, most_patches=8, limit_s=-1) is None
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_too_little_memory_is_one_sentence(run, monkeypatch):
    def fail(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM: 1 TB\nmore")

    monkeypatch.setattr(run.fitted, "fit", fail)
    with pytest.raises(
        errors.UserError, match=r"step of 4 patches: OOM: 1 TB\. Lower"
    ):
        step_time.measure(run, most_patches=8, limit_s=60)
