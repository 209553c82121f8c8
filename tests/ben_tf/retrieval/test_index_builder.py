"""Who builds an index is alone in its folder, which holds what was asked."""

import contextvars

import pytest
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import folder_lock
from ben_tf.retrieval import index
from ben_tf.retrieval import index_builder
from tests import in_process


def test_two_do_not_build_into_one_folder(workdir, data_dir, tmp_path):
    with (
        folder_lock.alone_in(tmp_path, message="the first"),
        pytest.raises(errors.UserError, match=f"the index in {tmp_path}"),
    ):
        contextvars.Context().run(
            index_builder.build_index,
            saved_model=workdir / "saved_model",
            data_dir=data_dir,
            output_dir=tmp_path,
        )
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_an_index_of_parts_holds_their_patches(workdir, data_dir, tmp_path):
    # A comma in a label, so that quotes keep the part together.
    label = (
        "Land principally occupied by agriculture, with significant areas of "
        "natural vegetation"
    )
    finished = in_process.run(
        "ben_tf.retrieval",
        "build",
        f"--saved_model={workdir / 'saved_model'}",
        f"--data_dir={data_dir}",
        f"--output_dir={tmp_path / 'index'}",
        f'--split=test[season!=Winter],"train[:20][label={label}]"',
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("Search flat, which is exact: ")
    opened = index.Index.open(tmp_path / "index")
    expected = [
        example["patch_name"].decode()
        for split, keeps in (
            ("test", lambda x: x["season"] != 0),
            (
                "train[:20]",
                lambda x: bigearthnet.CLASSES_19.index(label) in x["labels_19"],
            ),
        )
        for example in tfds.as_numpy(
            tfds.load("bigearthnet_mm", data_dir=data_dir, split=split)
        )
        if keeps(example)
    ]
    assert sorted(opened.names) == sorted(expected)
