"""Half precision computes in half; validation leaves no device idle."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from ben_tf.data import built_dataset
from ben_tf.data import patch_cache
from ben_tf.training import devices
from ben_tf.training import runs


@pytest.fixture
def make_run(tiny_config):
    """Runs on Sentinel-1 with a given precision; float32 again after it."""

    def make(**fields) -> runs.Run:
        config = dataclasses.replace(
            tiny_config, modality="S1", batch_size=4, **fields
        )
        return runs.make_run(
            config,
            built_dataset.open_dataset(config.data_dir),
            devices.make_devices("one_device"),
        )

    yield make
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "computed_in", "scales_loss"),
    [
        ("mixed_float16", tf.float16, True),
        ("mixed_bfloat16", tf.bfloat16, False),
    ],
)
def test_half_precision(make_run, precision, computed_in, scales_loss):
    run = make_run(precision=precision)
    convolutions = [
        layer
        for layer in run.model.layers
        if isinstance(layer, tf.keras.layers.Conv2D)
    ]
    assert convolutions
    assert all(layer.output.dtype == computed_in for layer in convolutions)
    assert run.model.output.dtype == tf.float32
    is_scaling = isinstance(
        run.optimizer, tf.keras.mixed_precision.LossScaleOptimizer
    )
    assert is_scaling == scales_loss

    before = run.model.get_weights()[0]
    history = run.fitted.fit(
        run.training_data(0), steps_per_epoch=1, verbose=0
    ).history
    assert np.isfinite(history["loss"][0])
    assert run.model.variables[0].dtype == tf.float32
    assert np.any(run.model.get_weights()[0] != before)
    variables = [
        *run.model.variables,
        *(v for metric in run.epoch_metrics for v in metric.variables),
    ]
    assert all(
        variable.dtype in (tf.float32, tf.float64)
        for variable in variables
        if variable.dtype.is_floating
    )


@pytest.mark.parametrize("place", ["memory", "folder"])
def test_a_cache_changes_no_batch(make_run, tmp_path, place, monkeypatch):
    def batches(**fields):
        run = make_run(epochs=2, seed=3, **fields)
        # `fit` asks again after a resumed epoch.
        data = [run.training_data(0, 1), run.training_data(1)]
        data.append(run.validation_data())
        return [list(part.as_numpy_iterator()) for part in data], run

    where = place if place == "memory" else str(tmp_path)
    expected, run = batches()
    assert run.cache_bytes == 0
    opened = []
    open_cache = patch_cache.open_cache

    def count(*args, **kwargs):
        opened.append(args)
        return open_cache(*args, **kwargs)

    monkeypatch.setattr(patch_cache, "open_cache", count)
    found, run = batches(cache=where)
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    assert len(opened) == 2
    splits = run.builder.info.splits
    num_patches = sum(
        splits[name].num_examples
        for name in (run.config.train_split, run.config.validation_split)
    )
    # Two bands of 120 x 120 in 32 bits, and a byte for each class.
    assert run.cache_bytes == num_patches * (2 * 120 * 120 * 4 + 19)


@pytest.mark.parametrize(
    ("num_patches", "batch_size", "num_devices", "expected"),
    [
        (5, 4, 1, 4),
        (8, 4, 2, 4),
        (6, 4, 2, 4),
        # 4 and 1 leave a device out; 3 and 2 do not.
        (5, 4, 2, 3),
        (3, 2, 2, 2),  # Nothing will do.
        # Four devices share 14 as 2, 2, 2, 2 and 2, 2, 2, 0, or as 2, 2, 2, 1
        # twice.
        (14, 8, 4, 7),
        (13, 8, 4, 8),  # Nothing will do.
        (12, 8, 4, 8),
        (123_723, 500, 2, 500),
    ],
)
def test_every_device_gets_a_part_of_the_last_batch(
    num_patches, batch_size, num_devices, expected
):
    assert expected == runs.validation_batch_size(
        num_patches, batch_size, num_devices=num_devices
    )
