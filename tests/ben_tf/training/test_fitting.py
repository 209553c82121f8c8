"""What ends a run early, on a network of one layer and data in memory."""

import resource
import types

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.metrics import streaming
from ben_tf.training import checkpoints as checkpoints_lib
from ben_tf.training import devices
from ben_tf.training import fitting
from ben_tf.training import keras_internals
from ben_tf.training import optimizers
from tests import json_files

_STEPS = 3


def _run(**fields) -> types.SimpleNamespace:
    """What `fitting.fit` needs of a `training.Run`, with 4 patches a step."""
    config = config_lib.Config(batch_size=4, tensorboard_patches=0, **fields)
    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.Input((8,))
    model = tf.keras.Model(
        inputs, tf.keras.layers.Dense(19, activation="sigmoid")(inputs)
    )
    running_metrics = [
        streaming.streaming_metric("macro_average_precision", 19)
    ]
    running_metrics.append(streaming.streaming_metric("macro_f1", 19))
    model.compile(
        optimizers.make_optimizer(
            config.optimizer,
            learning_rate=config.learning_rate,
            clip_norm=config.clip_norm,
            weight_averaging=config.weight_averaging,
        ),
        loss="binary_crossentropy",
        metrics=running_metrics,
    )
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(0)
    x = random.normal(size=(4 * _STEPS, 8)).astype(np.float32)
    y = (random.random((4 * _STEPS, 19)) < 0.5).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    return types.SimpleNamespace(
        model=model,
        fitted=model,
        optimizer=model.optimizer,
        devices=devices.make_devices("one_device"),
        epoch_metrics=[keras_internals.running_loss(model), *running_metrics],
        steps_per_epoch=_STEPS,
        config=config,
        inputs=x,
        training_data=lambda epoch, step: data.repeat().skip(step),
        validation_data=lambda: data,
        training_patch_names=lambda epoch, step: [f"e{epoch}_s{step}", "b"],
        # A dataset that nobody changes, since it is not there.
        builder=types.SimpleNamespace(data_path="no_dataset"),
    )


def _checkpoints(run, workdir) -> checkpoints_lib.Checkpoints:
    return fitting.make_checkpoints(run, workdir_lib.Workdir(workdir))


def test_loss_that_is_not_finite_names_step_and_patches(tmp_path, capsys):
    run = _run(epochs=2, checkpoint_every_steps=1)
    # The second batch of the first epoch.
    run.inputs[5] = np.nan
    y = np.zeros((4 * _STEPS, 19), np.float32)
    data = tf.data.Dataset.from_tensor_slices((run.inputs, y)).batch(4)
    run.training_data = lambda epoch, step: data.repeat().skip(step)
    checkpoints = _checkpoints(run, tmp_path)
    expected = r"step 2 of epoch 1.*e0_s1, b"
    with pytest.raises(errors.UserError, match=expected) as raised:
        fitting.fit(run, checkpoints, workdir_lib.Workdir(tmp_path))
    # The bar is gone while the error is still held, and begins its own line.
    assert raised.tb
    assert capsys.readouterr().err.endswith("\r")
    content = json_files.read(tmp_path / "not_finite.json")
    assert content["patches"] == ["e0_s1", "b"]
    # The weights that the batch has spoilt are not saved.
    again = _run(epochs=2)
    assert (
        _checkpoints(again, tmp_path).restore_last(
            workdir_lib.Workdir(tmp_path)
        )
        == 1
    )
    assert np.all(np.isfinite(again.model.get_weights()[0]))


def _spoil_weight(run):
    run.model.trainable_variables[0].scatter_nd_update([[0, 0]], [np.nan])


def _spoil_slot(run):
    slots = [x for x in run.optimizer.variables if x.shape == (8, 19)]
    slots[-1].scatter_nd_update([[7, 18]], [np.inf])


def _spoil_statistic(run):
    run.statistics.moving_mean.assign([np.nan])


@pytest.mark.parametrize(
    "spoil", [_spoil_weight, _spoil_slot, _spoil_statistic]
)
@pytest.mark.parametrize("every_steps", [0, 1], ids=["epoch", "step"])
def test_what_the_loss_hides_is_found_before_it_is_saved(
    tmp_path, spoil, every_steps
):
    """After the fifth of six steps, in the second epoch."""
    run = _run(epochs=2, checkpoint_every_steps=every_steps)
    # A layer that the loss does not depend on, as behind a ReLU.
    run.statistics = tf.keras.layers.BatchNormalization()
    run.statistics.build((None, 1))
    run.model.hidden = run.statistics
    checkpoints = _checkpoints(run, tmp_path)
    count = checkpoints.on_train_batch_end

    def count_and_spoil(batch, logs=None):
        if checkpoints.steps_done == 4:
            spoil(run)
        count(batch, logs)

    checkpoints.on_train_batch_end = count_and_spoil
    where = "step 2 of epoch 2" if every_steps else "step 3 of epoch 2"
    if spoil is _spoil_weight and not every_steps:
        where = "since step 3 of epoch 2"  # The next loss tells.
    with pytest.raises(errors.UserError, match=where):
        fitting.fit(run, checkpoints, workdir_lib.Workdir(tmp_path))
    again = _run(epochs=2)
    again.model.hidden = tf.keras.layers.BatchNormalization()
    again.model.hidden.build((None, 1))
    kept = _checkpoints(again, tmp_path)
    assert kept.restore_last(workdir_lib.Workdir(tmp_path)) == (
        4 if every_steps else 3
    )
    for variable in (*again.model.variables, *again.optimizer.variables):
        assert np.isfinite(variable.numpy()).all()


def test_full_disk_keeps_the_last_checkpoint(tmp_path):
    run = _run()
    checkpoints = _checkpoints(run, tmp_path)
    checkpoints.save()
    expected = run.model.get_weights()[0]
    run.model.set_weights([np.zeros_like(x) for x in run.model.get_weights()])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(errors.UserError, match="Cannot write a checkpoint"):
            checkpoints.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    again = _run()
    _checkpoints(again, tmp_path).restore_last(workdir_lib.Workdir(tmp_path))
    np.testing.assert_array_equal(again.model.get_weights()[0], expected)


def test_history_that_cannot_be_written_is_one_sentence(tmp_path):
    run = _run(epochs=1)
    (tmp_path / "history.csv").mkdir()
    with pytest.raises(errors.UserError, match="Cannot write to the"):
        fitting.fit(
            run, _checkpoints(run, tmp_path), workdir_lib.Workdir(tmp_path)
        )


@pytest.mark.slow
@pytest.mark.parametrize("left", ["", "epoch,loss\n2,0.5\n"])
def test_a_history_that_has_lost_epochs_is_named(tmp_path, capsys, left):
    run = _run(epochs=2)
    checkpoints = _checkpoints(run, tmp_path)
    workdir = workdir_lib.Workdir(tmp_path)
    fitting.fit(run, checkpoints, workdir)
    assert "history.csv" not in capsys.readouterr().err
    if left:
        workdir.history_file.write_text(left)
    else:
        workdir.history_file.unlink()
    run = _run(epochs=3)
    checkpoints = _checkpoints(run, tmp_path)
    checkpoints.restore_last(workdir)
    fitting.fit(run, checkpoints, workdir)
    known = 1 if left else 0
    assert f"holds {known} of the 2 epochs" in capsys.readouterr().err


def test_patience_is_remembered_by_the_next_process(tmp_path, capsys):
    # A rate of 0: the first epoch stays the best.
    options = {"learning_rate": 0.0, "early_stopping_patience": 2}
    run = _run(epochs=2, **options)
    fitting.fit(run, _checkpoints(run, tmp_path), workdir_lib.Workdir(tmp_path))
    assert "Stopped early" not in capsys.readouterr().out
    for _ in range(2):
        run = _run(epochs=9, **options)
        checkpoints = _checkpoints(run, tmp_path)
        checkpoints.restore_last(workdir_lib.Workdir(tmp_path))
        fitting.fit(run, checkpoints, workdir_lib.Workdir(tmp_path))
        assert checkpoints.steps_done == 3 * _STEPS
        assert "Stopped early" in capsys.readouterr().out


def test_best_weights_are_the_average_of_all_steps(tmp_path):
    run = _run(epochs=1, weight_averaging=0.5, learning_rate=0.1)
    seen = [run.model.get_weights()[0]]
    checkpoints = _checkpoints(run, tmp_path)
    count = checkpoints.on_train_batch_end

    def look(batch, logs=None):
        seen.append(run.model.get_weights()[0])
        count(batch, logs)

    checkpoints.on_train_batch_end = look
    fitting.fit(run, checkpoints, workdir_lib.Workdir(tmp_path))
    expected = seen[0]
    for weights in seen[1:]:
        expected = 0.5 * expected + 0.5 * weights
    best, last = (_run(weight_averaging=0.5) for _ in range(2))
    checkpoints_lib.restore_best(workdir_lib.Workdir(tmp_path), best.model)
    np.testing.assert_allclose(
        best.model.get_weights()[0], expected, rtol=1e-5, atol=1e-7
    )
    # The run itself goes on with the weights of its last step.
    _checkpoints(last, tmp_path).restore_last(workdir_lib.Workdir(tmp_path))
    np.testing.assert_array_equal(last.model.get_weights()[0], seen[-1])


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "OOM when allocating tensor with shape[9]\nand where",
            tf.errors.ResourceExhaustedError,
        ),
        (
            "Out of memory while trying to allocate 9 bytes.",
            tf.errors.ResourceExhaustedError,
        ),
        (
            "Graph execution error:\n\nDetected at node x\nOOM when allocating",
            tf.errors.ResourceExhaustedError,
        ),
        (
            "On to allocate 9 bytes: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
            tf.errors.InternalError,
        ),
        (
            "Or, RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9",
            tf.errors.UnknownError,
        ),
    ],
    ids=["kernel", "xla", "inside fit", "cuda", "xla, wrapped"],
)
def test_too_little_memory_is_one_sentence(
    tmp_path, monkeypatch, message, kind
):
    run = _run(epochs=1)

    def fail(*args, **kwargs):
        raise kind(None, None, message)

    monkeypatch.setattr(run.fitted, "fit", fail)
    with pytest.raises(
        errors.UserError,
        match=r"step of 4 patches: O.*allocat[^.]*\. Lower `batch_size`",
    ):
        fitting.fit(
            run, _checkpoints(run, tmp_path), workdir_lib.Workdir(tmp_path)
        )


def test_errors_that_are_not_of_memory_or_disk_are_left(tmp_path, monkeypatch):
    run = _run(epochs=1)

    def fail(*args, **kwargs):
        raise tf.errors.UnavailableError(None, None, "worker 1 is gone")

    monkeypatch.setattr(run.fitted, "fit", fail)
    with pytest.raises(tf.errors.UnavailableError, match="worker 1"):
        fitting.fit(
            run, _checkpoints(run, tmp_path), workdir_lib.Workdir(tmp_path)
        )


def test_full_disk_is_not_mistaken_for_memory(tmp_path, monkeypatch):
    run = _run(epochs=1)

    def fail(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(
            None, None, "out of memory/logs; No space left on device"
        )

    monkeypatch.setattr(run.fitted, "fit", fail)
    with pytest.raises(errors.UserError, match=r"Cannot write.*No space left"):
        fitting.fit(
            run, _checkpoints(run, tmp_path), workdir_lib.Workdir(tmp_path)
        )
