"""Who builds an index is alone in its folder."""

import contextvars

import pytest

from ben_tf import errors
from ben_tf import folder_lock
from ben_tf.retrieval import index_builder


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
