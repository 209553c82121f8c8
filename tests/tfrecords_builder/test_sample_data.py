"""The sample as a dataset: made once, then found."""

from ben_tf.data import built_dataset
from tfrecords_builder import sample_data


def test_made_once(tmp_path):
    def times():
        return {
            path: path.stat().st_mtime_ns
            for path in tmp_path.rglob("*")
            if path.is_file()
        }

    data_dir = sample_data.make_sample_data(tmp_path / "sample", num_pairs=8)
    before = times()
    builder = built_dataset.open_dataset(data_dir)
    assert built_dataset.is_synthetic(builder)
    assert sum(s.num_examples for s in builder.info.splits.values()) == 8
    assert data_dir == sample_data.make_sample_data(
        tmp_path / "sample", num_pairs=8
    )
    assert times() == before
