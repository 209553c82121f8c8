"""What cannot be written is found out before work begins."""

import errno
import os
import tempfile

import pytest

from ben_tf import files
from ben_tf import foreign_errors
from ben_tf import saved_model
from ben_tf.evaluation import evaluation
from ben_tf.predict import patches
from ben_tf.predict import scene
from ben_tf.report import reports
from ben_tf.retrieval import gallery
from ben_tf.retrieval import index_builder
from ben_tf.retrieval import index_evaluation
from ben_tf.training import exports
from ben_tf.training import released_weights


def sentence(path, **options) -> str:
    with pytest.raises(OSError) as error:
        files.check_writable(path, **options)
    return foreign_errors.sentence(error.value)


def test_what_can_be_written(tmp_path):
    for path in ("file", "new/folders/file"):
        files.check_writable(tmp_path / path)
        files.check_writable(tmp_path / path, is_folder=True)
    files.check_writable(tmp_path, is_folder=True)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_place_of_a_file(tmp_path):
    assert sentence(tmp_path) == (
        f"{tmp_path}: Is a directory. Expected a file; this is a folder."
    )
    with pytest.raises(IsADirectoryError), files.replacing(tmp_path):
        pytest.fail("work began")


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "file").touch()
    for path in ("file/x", "file/x/y"):
        assert f"{tmp_path}/file: Not a directory." in sentence(tmp_path / path)
    assert "file: Not a dir" in sentence(tmp_path / "file", is_folder=True)


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (errno.EROFS, "read-only; choose another place"),
        (errno.EACCES, "Give yourself the permission"),
        (errno.ENOSPC, "Make room"),
        (errno.EDQUOT, "Make room"),
    ],
)
def test_disks_that_refuse(tmp_path, monkeypatch, code, way_out):
    def refuse(**_):
        raise OSError(code, os.strerror(code), "/some/temporary/name")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = sentence(tmp_path / "new" / "file")
    assert found.startswith(f"{tmp_path}: {os.strerror(code)}.")
    assert way_out in found


def test_a_full_disk_is_found_by_writing():
    """/dev/full takes no byte."""
    with (
        pytest.raises(OSError, match="No space left"),
        open("/dev/full", "wb") as file,
    ):
        file.write(bytes(files._TRIED_BYTES))


@pytest.mark.parametrize(
    "start",
    [
        lambda bad, run, index: released_weights.import_checkpoint(
            checkpoint="/absent", workdir=bad, model="resnet50", modality="S2"
        ),
        lambda bad, run, index: reports.write_report(
            workdir=run, data_dir="/absent", output=bad
        ),
        lambda bad, run, index: index_builder.build_index(
            saved_model="/absent", data_dir="/absent", output_dir=bad
        ),
        lambda bad, run, index: gallery.write_gallery(
            index=index, data_dir="/absent", output_file=bad
        ),
        lambda bad, run, index: index_evaluation.write_scores(
            archives=[index], queries=[index], output_file=bad
        ),
        lambda bad, run, index: patches.predict(
            saved_model="/absent", output=bad, input_paths=["/absent"]
        ),
        lambda bad, run, index: scene.predict_scene(
            None, s2_scene="/absent", s1_scene=None, output=f"{bad}/x.tif"
        ),
    ],
)
def test_nothing_is_begun_that_cannot_be_written(
    start, workdir, sample_index, tmp_path, monkeypatch
):
    """Whatever the command, a file is where a folder has to be."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(saved_model, "load", lambda *_: pytest.fail("began"))
    with pytest.raises(NotADirectoryError):
        start(tmp_path / "file" / "x", workdir, sample_index)


@pytest.mark.parametrize(
    "start",
    [
        lambda run: evaluation.evaluate(workdir=run, data_dir="/absent"),
        lambda run: exports.export_best(run),
    ],
)
def test_nothing_is_begun_in_a_workdir_that_is_read_only(
    start, workdir, monkeypatch
):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(saved_model, "load", lambda *_: pytest.fail("began"))
    monkeypatch.setattr(saved_model, "save", lambda *_: pytest.fail("began"))
    with pytest.raises(OSError, match=r"Read-only file system: .*run"):
        start(workdir)
