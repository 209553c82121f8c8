"""The best weights are kept; what does not fit is one sentence."""

import math

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.training import checkpoints as checkpoints_lib


def _model(*sizes: int) -> tf.keras.Model:
    """Dense layers of the given sizes, with the slots of SGD."""
    inputs = x = tf.keras.Input((3,))
    for size in sizes:
        x = tf.keras.layers.Dense(size)(x)
    model = tf.keras.Model(inputs, x)
    model.compile(tf.keras.optimizers.SGD(momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    return model


def _checkpoints(model, workdir) -> checkpoints_lib.Checkpoints:
    return checkpoints_lib.Checkpoints(
        workdir_lib.Workdir(workdir),
        model=model,
        optimizer=model.optimizer,
        steps_per_epoch=1,
    )


def _restore_last(model, workdir) -> int:
    return _checkpoints(model, workdir).restore_last(
        workdir_lib.Workdir(workdir)
    )


# Another layer; another shape of the same layer.
@pytest.mark.parametrize("sizes", [(2, 2), (4,)])
def test_checkpoint_of_another_version(sizes, tmp_path):
    _checkpoints(_model(2), tmp_path).save()
    checkpoints_lib.save_best(workdir_lib.Workdir(tmp_path), _model(2))
    assert _restore_last(_model(2), tmp_path) == 0
    checkpoints_lib.restore_best(workdir_lib.Workdir(tmp_path), _model(2))
    with pytest.raises(errors.UserError, match="does not fit"):
        _restore_last(_model(*sizes), tmp_path)
    with pytest.raises(errors.UserError, match="does not fit"):
        checkpoints_lib.restore_best(
            workdir_lib.Workdir(tmp_path), _model(*sizes)
        )


def test_checkpoint_of_another_optimiser(tmp_path):
    _checkpoints(_model(2), tmp_path).save()
    model = _model(2)
    model.compile(tf.keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    with pytest.raises(errors.UserError, match="new `workdir`"):
        _restore_last(model, tmp_path)


@pytest.mark.parametrize(
    ("values", "best_epoch", "stops"),
    [
        ([0.3, 0.8, 0.5], 1, False),
        ([0.3, 0.8, 0.5, math.nan], 1, True),
        ([math.nan, 0.1], 1, False),
        ([math.nan, math.nan], 0, False),
    ],
)
def test_the_weights_of_the_best_epoch_are_kept(
    values, best_epoch, stops, tmp_path
):
    model = _model(2)
    workdir = workdir_lib.Workdir(tmp_path)
    best = checkpoints_lib.BestWeights(
        workdir, model, model.optimizer, patience=2, check_data=list
    )
    best.set_model(model)
    model.stop_training = False
    for epoch, value in enumerate(values):
        model.set_weights([np.full(w.shape, epoch) for w in model.weights])
        best.on_epoch_end(epoch, {workdir_lib.MONITOR: value})
    restored = _model(2)
    checkpoints_lib.restore_best(workdir, restored)
    for weight in restored.get_weights():
        np.testing.assert_array_equal(weight, best_epoch)
    assert model.stop_training == stops
