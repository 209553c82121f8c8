"""A damaged checkpoint is named; no run begins anew over what is there."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.training import checkpoint_files
from ben_tf.training import checkpoints


def _model() -> tf.keras.Model:
    inputs = tf.keras.Input((3,))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(8)(inputs))
    model.compile(tf.keras.optimizers.SGD(momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def model() -> tf.keras.Model:
    return _model()


@pytest.fixture
def workdir(model, tmp_path) -> workdir_lib.Workdir:
    """With three checkpoints saved, of which the last two are kept."""
    workdir = workdir_lib.Workdir(tmp_path)
    saved = _checkpoints(model, workdir)
    for _ in range(3):
        saved.save()
    checkpoints.save_best(workdir, model)
    return workdir


def _checkpoints(model, workdir) -> checkpoints.Checkpoints:
    return checkpoints.Checkpoints(
        workdir, model=model, optimizer=model.optimizer, steps_per_epoch=1
    )


def _only(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    (path,) = folder.glob(pattern)
    return path


def test_the_newest_counts(workdir, tmp_path):
    folder = workdir.last_checkpoints
    assert checkpoint_files.latest(folder) == str(folder / "ckpt-3")
    assert checkpoint_files.latest(tmp_path / "nothing") is None
    assert checkpoints.has_state(workdir)


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def _cut(path, place):
    path.write_bytes(path.read_bytes()[:place])


@pytest.mark.parametrize("damage", [_flip, _cut])
@pytest.mark.parametrize("place", [0, 40, -1])
@pytest.mark.parametrize("pattern", ["ckpt-3.index", "ckpt-3.data-*"])
def test_a_damaged_file_of_the_newest_is_named(
    workdir, model, pattern, damage, place
):
    damage(_only(workdir.last_checkpoints, pattern), place)
    before = {p: p.read_bytes() for p in workdir.path.rglob("*") if p.is_file()}
    with pytest.raises(
        errors.UserError, match=r"ckpt-3 is damaged: .*Bring it back"
    ) as caught:
        _checkpoints(model, workdir).restore_last(workdir)
    assert str(workdir.last_checkpoints) in str(caught.value)
    assert "function_node" not in str(caught.value)
    after = {p: p.read_bytes() for p in workdir.path.rglob("*") if p.is_file()}
    assert before == after


@pytest.mark.parametrize("pattern", ["ckpt-0.index", "ckpt-0.data-*"])
def test_damaged_best_weights_are_named(workdir, model, pattern):
    _cut(_only(workdir.best_checkpoints, pattern), 100)
    with pytest.raises(errors.UserError, match="best/ckpt-0 is damaged"):
        checkpoints.restore_best(workdir, model)


@pytest.mark.parametrize("name", ["ckpt-3.index", "ckpt-3.data-00000-of-00001"])
def test_a_missing_file_of_the_newest_is_named(workdir, name):
    (workdir.last_checkpoints / name).unlink()
    # Not False, after which training would begin anew.
    with pytest.raises(errors.UserError, match=rf"last/{name} is missing"):
        checkpoints.has_state(workdir)


def test_best_weights_are_missed_before_a_run_goes_on(workdir):
    _only(workdir.best_checkpoints, "ckpt-0.index").unlink()
    with pytest.raises(
        errors.UserError, match=r"best/ckpt-0\.index is missing"
    ):
        checkpoints.has_state(workdir)


_UNUSABLE = [
    "",
    "nonsense",
    "\udcff",
    'model_checkpoint_path: "../../best/ckpt-0"',
    'model_checkpoint_path: "/etc/ckpt-3"',
    'model_checkpoint_path: "ckpt-3*"',
    # The oldest of these would be deleted after the next one is saved.
    'model_checkpoint_path: "ckpt-3"\n'
    'all_model_checkpoint_paths: "/etc/ckpt-1"\n'
    'all_model_checkpoint_paths: "ckpt-3"',
]


@pytest.mark.parametrize("text", [None, *_UNUSABLE])
def test_an_unusable_list_is_named_and_can_be_mended(workdir, model, text):
    listed = workdir.last_checkpoints / "checkpoint"
    if text is None:
        listed.unlink()
    else:
        listed.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(
        errors.UserError, match=r"last/checkpoint is (missing|damaged)\. "
    ) as caught:
        checkpoints.has_state(workdir)
    line = re.search(r"model_checkpoint_path: .*", str(caught.value))[0]
    listed.write_text(line)
    assert checkpoints.has_state(workdir)
    weights = model.get_weights()
    model.set_weights([np.zeros_like(x) for x in weights])
    resumed = _checkpoints(model, workdir)
    resumed.restore_last(workdir)
    for found, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    resumed.save()
    assert (workdir.last_checkpoints / "ckpt-4.index").is_file()
    assert (workdir.last_checkpoints / "ckpt-3.index").is_file()


def test_a_list_beside_nothing(tmp_path):
    (tmp_path / "checkpoint").write_text("nonsense")
    with pytest.raises(errors.UserError, match="new `workdir`"):
        checkpoint_files.latest(tmp_path)


def test_a_run_killed_at_its_first_checkpoint_begins_anew(model, tmp_path):
    workdir = workdir_lib.Workdir(tmp_path)
    _checkpoints(model, workdir).save()
    (workdir.last_checkpoints / "checkpoint").unlink()
    assert not checkpoints.has_state(workdir)
