"""A checkpoint that does not fit is one sentence."""

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
