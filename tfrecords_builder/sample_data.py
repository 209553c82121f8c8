"""The sample archive as a dataset, for whoever wants to try something out."""

import os
import pathlib

from ben_tf.data import built_dataset
from tfrecords_builder import dataset
from tfrecords_builder import sample_writer

NUM_PAIRS = 1600


def make_sample_data(
    output_dir: str | os.PathLike, *, num_pairs: int = NUM_PAIRS
) -> pathlib.Path:
    """Writes the sample archive and builds it, unless that has been done.

    Args:
      output_dir: Folder for the archive and the dataset.
      num_pairs: Size of the archive: six real pairs and synthetic ones.

    Returns:
      The folder with the dataset.
    """
    archive_dir = pathlib.Path(output_dir) / "archive"
    data_dir = pathlib.Path(output_dir) / "data"
    if not archive_dir.exists():
        sample_writer.write_sample_archive(archive_dir, num_pairs=num_pairs)
    if not built_dataset.built_versions(data_dir):
        dataset.build(archive_dir=archive_dir, data_dir=data_dir)
    return data_dir
