"""What is damaged is named, and a run goes on from what is not.

No run begins anew over what is there.
"""

import pathlib
import shutil

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
    for number in range(3):
        model.set_weights(
            [np.full_like(x, number + 1) for x in model.get_weights()]
        )
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
    assert checkpoint_files.newest_first(folder)[0] == str(folder / "ckpt-3")
    assert checkpoint_files.newest_first(tmp_path / "nothing") == []
    assert checkpoints.has_state(workdir)


def _restore(model, workdir) -> int:
    """Which of the three checkpoints is restored."""
    model.set_weights([np.zeros_like(x) for x in model.get_weights()])
    _checkpoints(model, workdir).restore_last(workdir)
    (number,) = {int(x) for array in model.get_weights() for x in array.flat}
    return number


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def _cut(path, place):
    path.write_bytes(path.read_bytes()[:place])


@pytest.mark.parametrize("damage", [_flip, _cut])
@pytest.mark.parametrize("place", [0, 40, -1])
@pytest.mark.parametrize("pattern", ["ckpt-3.index", "ckpt-3.data-*"])
def test_the_one_before_a_damaged_one_is_taken(
    workdir, model, pattern, damage, place, capsys
):
    damage(_only(workdir.last_checkpoints, pattern), place)
    assert checkpoints.has_state(workdir)
    assert _restore(model, workdir) == 2
    said = capsys.readouterr().err
    last = workdir.last_checkpoints
    assert f"{last}/ckpt-3 is damaged: " in said
    assert said.endswith(f" Going on from {last}/ckpt-2.\n")
    assert "function_node" not in said


def test_if_all_are_damaged_nothing_is_changed(workdir, model):
    for path in workdir.last_checkpoints.glob("*.index"):
        _cut(path, 40)
    before = {p: p.read_bytes() for p in workdir.path.rglob("*") if p.is_file()}
    with pytest.raises(
        errors.UserError, match=r"ckpt-3 is damaged: .*Bring it back"
    ):
        _restore(model, workdir)
    after = {p: p.read_bytes() for p in workdir.path.rglob("*") if p.is_file()}
    assert before == after


@pytest.mark.parametrize("pattern", ["ckpt-0.index", "ckpt-0.data-*"])
def test_damaged_best_weights_are_named(workdir, model, pattern):
    _cut(_only(workdir.best_checkpoints, pattern), 100)
    with pytest.raises(errors.UserError, match="best/ckpt-0 is damaged"):
        checkpoints.restore_best(workdir, model)


@pytest.mark.parametrize("name", ["ckpt-3.index", "ckpt-3.data-00000-of-00001"])
def test_the_one_before_a_missing_one_is_taken(workdir, model, name, capsys):
    (workdir.last_checkpoints / name).unlink()
    # Not False, after which training would begin anew.
    assert checkpoints.has_state(workdir)
    assert _restore(model, workdir) == 2
    assert f"last/{name} is missing, a file of" in capsys.readouterr().err


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
def test_a_list_that_is_unusable_is_written_anew(workdir, model, text):
    listed = workdir.last_checkpoints / "checkpoint"
    if text is None:
        listed.unlink()
    else:
        listed.write_bytes(text.encode(errors="surrogateescape"))
    assert checkpoints.has_state(workdir)
    checkpoint_files.mend(workdir.last_checkpoints)
    assert _restore(model, workdir) == 3
    resumed = _checkpoints(model, workdir)
    assert resumed.restore_last(workdir) == 0
    resumed.save()
    # The list is TensorFlow's, which keeps two.
    latest = tf.train.latest_checkpoint(str(workdir.last_checkpoints))
    assert latest == str(workdir.last_checkpoints / "ckpt-4")
    assert {p.name for p in workdir.last_checkpoints.glob("*.index")} == {
        "ckpt-3.index",
        "ckpt-4.index",
    }


def test_a_list_that_is_whole_stays_as_it_is(workdir):
    listed = workdir.last_checkpoints / "checkpoint"
    before = listed.read_bytes()
    checkpoint_files.mend(workdir.last_checkpoints)
    assert listed.read_bytes() == before


def test_half_a_checkpoint_is_removed(workdir):
    half = workdir.last_checkpoints / "ckpt-4_temp" / "part-00000-of-00001.data"
    half.parent.mkdir()
    half.touch()
    before = set(workdir.last_checkpoints.iterdir()) - {half.parent}
    checkpoint_files.mend(workdir.last_checkpoints)
    assert set(workdir.last_checkpoints.iterdir()) == before


def test_half_a_list_is_removed(workdir):
    """As TensorFlow writes it, beside the one that it takes the place of."""
    before = set(workdir.last_checkpoints.iterdir())
    half = workdir.last_checkpoints / f"checkpoint.tmp{'0f' * 16}"
    half.write_text("model_checkpoint_path: ")
    checkpoint_files.mend(workdir.last_checkpoints)
    assert set(workdir.last_checkpoints.iterdir()) == before


def test_what_the_list_does_not_name_is_removed(workdir):
    """As after a kill between the new list and the oldest checkpoint's end."""
    folder = workdir.last_checkpoints
    before = set(folder.iterdir())
    for path in list(folder.glob("ckpt-3.*")):
        shutil.copy(path, path.with_name(path.name.replace("-3.", "-1.")))
    checkpoint_files.mend(folder)
    assert set(folder.iterdir()) == before


def test_what_the_list_does_not_name_stays_if_that_is_not_whole(workdir):
    """It may have been brought back from a copy."""
    folder = workdir.last_checkpoints
    for path in list(folder.glob("ckpt-3.*")):
        shutil.copy(path, path.with_name(path.name.replace("-3.", "-1.")))
    (folder / "ckpt-2.index").unlink()
    before = set(folder.iterdir())
    checkpoint_files.mend(folder)
    assert set(folder.iterdir()) == before


def test_a_list_beside_nothing(tmp_path):
    (tmp_path / "checkpoint").write_text("nonsense")
    with pytest.raises(errors.UserError, match="new `workdir`"):
        checkpoint_files.newest_first(tmp_path)


def test_a_run_killed_at_its_first_checkpoint_goes_on(model, tmp_path):
    """Between the checkpoint and the list."""
    workdir = workdir_lib.Workdir(tmp_path)
    model.set_weights([np.ones_like(x) for x in model.get_weights()])
    _checkpoints(model, workdir).save()
    (workdir.last_checkpoints / "checkpoint").unlink()
    assert _restore(model, workdir) == 1


def test_best_weights_without_a_list_are_found(workdir, model):
    expected = model.get_weights()
    (workdir.best_checkpoints / "checkpoint").unlink()
    model.set_weights([np.zeros_like(x) for x in expected])
    checkpoints.restore_best(workdir, model)
    for found, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
