"""An index that a cluster makes equals that of one process."""

import os

import numpy as np
import pytest

from ben_tf.retrieval import index_builder

SPLITS = ("train[:9]", "validation[season=Summer|Winter]", "test")


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["DirectRunner", "DaskRunner"])
def test_same_index(runner, data_dir, workdir, tmp_path, monkeypatch, request):
    options = "direct_num_workers=1"
    if runner == "DaskRunner":
        options = request.getfixturevalue("dask").options
    # Workers have another working directory.
    monkeypatch.chdir(tmp_path)
    for name, beam in (
        ("local", {}),
        ("beam", {"beam_runner": runner, "beam_pipeline_options": options}),
    ):
        index_builder.build_index(
            saved_model=os.path.relpath(workdir / "saved_model"),
            data_dir=os.path.relpath(data_dir),
            output_dir=name,
            splits=SPLITS,
            batch_size=4,
            **beam,
        )
    assert not (tmp_path / "beam.tasks").exists()
    found, expected = (
        {
            path.name: np.load(path)
            for path in (tmp_path / name).glob("data-*/*.npy")
        }
        for name in ("beam", "local")
    )
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        if array.dtype == np.float32:
            # The last bit, where the last batch of a file is smaller.
            np.testing.assert_allclose(found[name], array, atol=1e-6)
        else:
            np.testing.assert_array_equal(found[name], array)
