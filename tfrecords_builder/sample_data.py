"""The sample archive as a dataset, for whoever wants to try something out."""

import os
import pathlib

from ben_tf.archive import layout
from ben_tf.data import built_dataset
from tfrecords_builder import dataset
from tfrecords_builder import sample_writer

NUM_PAIRS = 1600


def make_sample_data(
    output_dir: str | os.PathLike,
    *,
    num_pairs: int = NUM_PAIRS,
    version: str = layout.V1.version,
) -> pathlib.Path:
    """Writes the sample archive and builds it, unless that has been done.

    Args:
      output_dir: Folder for the archive and the dataset.
      num_pairs: Size of the archive: six real pairs and synthetic ones; in v2
        all are synthetic.
      version: Of BigEarthNet, "v1" or "v2".

    Returns:
      The folder with the dataset.
    """
    archive_dir = pathlib.Path(output_dir) / "archive"
    data_dir = pathlib.Path(output_dir) / "data"
    if not archive_dir.exists():
        sample_writer.write_sample_archive(
            archive_dir, num_pairs=num_pairs, version=version
        )
    if not built_dataset.built_versions(data_dir):
        dataset.build(
            archive_dir=archive_dir, data_dir=data_dir, version=version
        )
    return data_dir
