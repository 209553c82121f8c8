"""A dry run says what hand arithmetic says, and leaves nothing."""

import dataclasses
import re

import pytest
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.training import devices
from ben_tf.training import dry_run
from ben_tf.training import machine_memory
from ben_tf.training import runs
from ben_tf.training import step_time
from tests import in_process

_BATCH_SIZE = 5


@pytest.fixture(scope="module")
def run(tiny_config) -> runs.Run:
    """Sentinel-1 alone, in steps of 5 patches of the whole training split."""
    config = dataclasses.replace(
        tiny_config,
        modality="S1",
        batch_size=_BATCH_SIZE,
        epochs=3,
        train_split="train",
    )
    return runs.make_run(
        config,
        built_dataset.open_dataset(config.data_dir),
        devices.make_devices("one_device"),
    )


def test_parameters_and_memory(run):
    size = dry_run.size_of(run)
    shapes = [weight.shape for weight in run.model.get_weights()]
    num_parameters = sum(
        int(tf.reduce_prod(tf.constant(shape, tf.int64))) for shape in shapes
    )
    assert size.weight_bytes == 4 * num_parameters
    assert size.trainable_parameters + size.other_parameters == num_parameters
    # Mean and variance of what batch normalisation scales and shifts.
    assert 0 < size.other_parameters < size.trainable_parameters
    assert size.gradient_bytes == 4 * size.trainable_parameters
    # Adam keeps two moments.
    assert size.slot_bytes == 2 * size.gradient_bytes


@pytest.mark.parametrize(
    ("optimizer", "per_weight"),
    [("sgd", 1), ("adamw", 2), ("lamb", 2), ("lookahead_adam", 3)],
)
def test_memory_of_optimisers(tiny_config, optimizer, per_weight):
    if optimizer in ("lamb", "lookahead_adam"):
        pytest.importorskip("tensorflow_addons")
    config = dataclasses.replace(
        tiny_config, modality="S1", optimizer=optimizer
    )
    size = dry_run.size_of(
        runs.make_run(
            config,
            built_dataset.open_dataset(config.data_dir),
            devices.make_devices("one_device"),
        )
    )
    assert size.slot_bytes == per_weight * size.gradient_bytes


def test_activations_of_a_network_counted_by_hand():
    inputs = tf.keras.Input((6, 6, 2))
    shared = tf.keras.layers.Conv2D(3, 3)
    # 4 x 4 x 3, twice; 2 x 2 x 3; 12; 5.
    x = shared(inputs) + shared(inputs)
    x = tf.keras.layers.MaxPool2D()(x)
    x = tf.keras.layers.Flatten()(x)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(5)(x))
    # The sum of the two is a layer of its own.
    numbers = 6 * 6 * 2 + 3 * (4 * 4 * 3) + 2 * 2 * 3 + 12 + 5
    assert dry_run._bytes_per_patch(model) == 4 * numbers


def test_steps_and_bytes_read(run):
    size = dry_run.size_of(run)
    # The buffer takes the whole split.
    assert size.buffer_bytes == size.training_bytes
    (folder,) = built_dataset.built_versions(run.config.data_dir)
    splits = run.builder.info.splits
    num_patches = splits["train"].num_examples
    assert num_patches % _BATCH_SIZE
    assert run.steps_per_epoch == num_patches // _BATCH_SIZE
    assert run.total_steps == 3 * run.steps_per_epoch
    for split, num_bytes in (
        ("train", size.training_bytes),
        ("validation", size.validation_bytes),
    ):
        files = folder.glob(f"*-{split}.tfrecord*")
        assert num_bytes == sum(path.stat().st_size for path in files)
    # A record holds at least its arrays.
    array_bytes = sum(
        grid.size_px**2 * len(grid.bands) * (4 if grid.sensor == "S1" else 2)
        for grid in bigearthnet.GRIDS.values()
    )
    assert size.training_bytes > num_patches * array_bytes
    part = dry_run._bytes_read(run.builder, "train[:10]")
    assert part == pytest.approx(
        size.training_bytes * 10 / num_patches, rel=0.01
    )


def test_a_cache_takes_memory_and_no_buffer(run):
    cached = dataclasses.replace(
        run, config=dataclasses.replace(run.config, cache="memory")
    )
    size = dry_run.size_of(cached)
    assert size.buffer_bytes == 0
    assert size.cache_bytes == cached.cache_bytes > 0
    told = dry_run.describe(cached, size, _memory(10**12))
    assert "in main memory, read once" in told
    assert "caches" not in dry_run.describe(
        run, dry_run.size_of(run), _memory(10**12)
    )
    # (800 - 100 - 600) / 10
    assert (
        dry_run.largest_batch(cached, _size(cache_bytes=600), _memory(1000))
        == 10
    )
    on_disk = dataclasses.replace(
        run, config=dataclasses.replace(run.config, cache="folder")
    )
    assert (
        dry_run.largest_batch(on_disk, _size(cache_bytes=600), _memory(1000))
        == 70
    )


def _memory(num_bytes, *, is_shared=True):
    return machine_memory.Memory("this machine", num_bytes, is_shared)


def _size(**changes):
    """Sizes to calculate with by hand: 100 bytes, and 10 for each patch."""
    numbers = dict.fromkeys(
        [field.name for field in dataclasses.fields(dry_run.Size)], 0
    )
    return dry_run.Size(
        **numbers
        | {
            "weight_bytes": 20,
            "gradient_bytes": 20,
            "slot_bytes": 60,
            "activation_bytes": 10 * _BATCH_SIZE,
        }
        | changes
    )


@pytest.mark.parametrize(
    ("num_bytes", "buffer_bytes", "expected"),
    [
        (1000, 0, 70),  # (800 - 100) / 10
        (1000, 600, 10),
        (200, 0, 6),
        (125, 0, 0),
        (10, 0, 0),
    ],
)
def test_the_largest_batch_that_fits(run, num_bytes, buffer_bytes, expected):
    size = _size(buffer_bytes=buffer_bytes)
    assert dry_run.largest_batch(run, size, _memory(num_bytes)) == expected


def test_whether_it_fits_is_a_sentence(run):
    for num_bytes, expected in (
        (
            2e9,
            "fits        yes: a batch of 5 leaves at least 20% of the 2.0 GB",
        ),
        (
            180,
            "fits        no: a batch of 5 does not fit into 80% of the 0.0 GB",
        ),
        (1, "are too few for a batch of any size"),
    ):
        text = dry_run.describe(run, _size(), _memory(num_bytes))
        assert expected in text
    text = dry_run.describe(run, _size(), _memory(180))
    assert "of this machine; one of 4 would" in text  # (144 - 100) / 10


def test_time_is_that_of_a_patch_times_the_patches(run):
    config = dataclasses.replace(run.config, epochs=36, batch_size=500)
    run = dataclasses.replace(run, steps_per_epoch=100, config=config)
    # 3,600 steps of 2 s are 2 hours.
    line = dry_run.describe_time(run, step_time.StepTime(500, 9.0, (1.0, 3.0)))
    assert "about 3.33 min an epoch, 2.0 h in all; an estimate" in line
    assert "2 measured steps of 500 patches, 2 s each with reading;" in line
    # The same, seen in a tenth of the batch.
    line = dry_run.describe_time(run, step_time.StepTime(50, 9.0, (0.1, 0.3)))
    assert "about 3.33 min an epoch, 2.0 h in all; an estimate" in line
    assert "0.2 s each with reading, scaled to 500;" in line
    assert "no estimate" in dry_run.describe_time(run, None)


def test_unknown_validation_split(run):
    config = dataclasses.replace(run.config, validation_split="nonsense")
    with pytest.raises(errors.UserError, match="no patch in split"):
        dry_run.size_of(dataclasses.replace(run, config=config))


@pytest.mark.slow
def test_the_command_prints_the_plan_and_leaves_nothing(tiny_config, tmp_path):
    process = in_process.run(
        "ben_tf.train",
        "--dry_run",
        f"--data_dir={tiny_config.data_dir}",
        "--workdir=run",
        "--model=small_cnn",
        "--modality=S1",
        "--loss=class_weighted",
        "--batch_size=8",
        "--epochs=7",
        "--train_split=train[:16]",
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    assert "2 of 8 patches an epoch, 14 in all 7 epochs" in process.stdout
    assert re.search(
        r"time +about [\d.]+ (s|min) an epoch, [\d.]+ (s|min) in all; "
        r"an estimate from \d+ measured steps of [4-8] patches",
        process.stdout,
    )
    assert re.search(r"fits +yes: ", process.stdout)
    assert "measuring" in process.stderr
    assert not list(tmp_path.iterdir())
