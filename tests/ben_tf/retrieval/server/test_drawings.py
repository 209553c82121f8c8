"""Pictures of patches that wait together; a damaged one fails alone."""

import pathlib
import shutil

import pytest
from pyarrow import parquet

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import tfrecord_files
from ben_tf.retrieval.server import drawings

pytestmark = pytest.mark.slow


@pytest.fixture
def made(data_dir, tmp_path):
    """Drawings of a dataset whose first test record is damaged, and names."""
    folder = shutil.copytree(data_dir, tmp_path / "data")
    builder = built_dataset.open_dataset(folder)
    path = pathlib.Path(builder.info.splits["test"].filepaths[0])
    frame = next(tfrecord_files.frames(path))
    with path.open("r+b") as file:
        file.seek(frame.start + frame.length // 2)
        file.write(b"damage")
    table = parquet.read_table(path.parent / "patches.parquet")
    names = table.filter(table["split"].to_numpy() == "test")["patch_name"]
    made = drawings.Drawings(builder)
    yield made, names.to_pylist()
    made.close()


def test_a_damaged_record_fails_alone(made):
    drawn, names = made
    results = drawn._draw_all(
        [(names[0], "radar"), (names[1], "radar"), ("nobody", "radar")]
    )
    assert isinstance(results[0], errors.ArchiveError)
    assert results[1].startswith(b"\x89PNG")
    assert isinstance(results[2], drawings.UnknownPatchError)
    assert drawn.png(names[1], "radar").result(30) == results[1]


def test_a_picture_that_is_none_is_refused(made):
    drawn, names = made
    with pytest.raises(drawings.UnknownPatchError, match="lacks that sensor"):
        drawn.png(names[1], "thermal")
