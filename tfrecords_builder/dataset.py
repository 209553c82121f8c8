"""Builds the dataset `bigearthnet_mm`: all of it or nothing."""

import contextlib
import errno
import functools
import importlib.util
import io
import os
import pathlib
from collections.abc import Iterator

import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import folder_lock
from ben_tf.archive import layout
from ben_tf.archive import own_table
from ben_tf.archive import parts
from ben_tf.archive import patch_sources
from ben_tf.cluster import runners
from tfrecords_builder import bigearthnet_mm_dataset_builder
from tfrecords_builder import conversion
from tfrecords_builder import unfinished

# The first is ours and is what this package reads. The second is for random
# access: PyTorch's DataLoader, Grain, JAX.
FILE_FORMATS = ("tfrecord", "array_record")


def build(
    *,
    data_dir: str | os.PathLike[str],
    archive_dir: str | os.PathLike[str] | None = None,
    table: str | os.PathLike[str] | None = None,
    files_dir: str | os.PathLike[str] | None = None,
    version: str = layout.V1.version,
    part: parts.Part | None = None,
    on_error: str = "raise",
    num_workers: int | None = None,
    overwrite: bool = False,
    file_format: str = FILE_FORMATS[0],
    beam_runner: str | None = None,
    beam_pipeline_options: str | None = None,
) -> tfds.core.DatasetBuilder:
    """Builds the dataset and returns its TFDS builder, ready to read.

    Args:
      data_dir: Folder for TFDS datasets.
      archive_dir: Folder of the archive; or else
      table: File that lists own patches, see `own_table`.
      files_dir: The folder that paths in `table` start at and stay in; None:
        that of the table.
      version: "v1" or "v2" of BigEarthNet in `archive_dir`.
      part: Which pairs to build; default: all.
      on_error: "raise" stops at the first damaged pair; "skip" leaves it out
        and lists it in `skipped.csv` next to the records.
      num_workers: Number of worker processes; default: one a core.
      overwrite: Replace a dataset that is already there.
      file_format: One of `FILE_FORMATS`. The other one is read by
        `tfds.data_source` alone.
      beam_runner: Name of an Apache Beam runner, which then does the work.
      beam_pipeline_options: Options of Beam: "name=value,name=value".

    Raises:
      errors.UserError: The archive is missing or damaged, the dataset
        is already there, the disk is full, or another build is running;
        what writes the file format is not installed; or the cluster fails.
    """
    if file_format == "array_record" and not importlib.util.find_spec(
        "array_record"
    ):
        raise errors.UserError(
            "`file_format=array_record` is written by a package that is not "
            "installed. Install it with pip install array_record."
        )
    check_one_source(archive_dir, table)
    if archive_dir:
        layout.find_sensors(archive_dir, layout=layout.LAYOUTS[version])
        manual_dir = archive_dir
    elif table:
        version = layout.OWN.version
        # Wrong cells are found before anything is made.
        own_table.read(table, files_dir=files_dir)
        manual_dir = files_dir or pathlib.Path(table).absolute().parent
        if not os.path.isdir(manual_dir):
            raise errors.UserError(
                f"There is no folder {manual_dir}. Expected `files_dir` to be "
                "the folder that the paths in the table start at."
            )
    cluster = runners.choose(beam_runner, beam_pipeline_options)
    download_config = tfds.download.DownloadConfig(
        manual_dir=os.fspath(manual_dir),
        beam_runner=cluster.runner if cluster else None,
        beam_options=cluster.options if cluster else None,
    )
    make_builder = functools.partial(
        bigearthnet_mm_dataset_builder.Builder,
        config=version,
        on_error=on_error,
        num_workers=num_workers,
        part=part,
        table=table,
    )
    dataset_dir = os.path.join(data_dir, bigearthnet.DATASET_NAME)
    with _mendable_errors(data_dir), contextlib.ExitStack() as stack:
        stack.enter_context(
            folder_lock.alone_in(
                dataset_dir,
                message=f"Another build is writing to {dataset_dir}. Wait for "
                "it or choose another `data_dir`.",
            )
        )
        for what_was_done in unfinished.clean_up(dataset_dir):
            print(what_was_done, flush=True)
        old = make_builder(data_dir=os.fspath(data_dir))
        root = pathlib.Path(data_dir)
        if old.is_prepared():
            if not overwrite:
                raise errors.UserError(
                    f"There is already a dataset in {old.data_path}. Pass "
                    "`overwrite` to replace it, or another `data_dir`."
                )
            root = stack.enter_context(
                unfinished.replacement(pathlib.Path(old.data_path))
            )
        # TFDS prints that it downloads a dataset of unknown size.
        with contextlib.redirect_stdout(io.StringIO()):
            make_builder(
                data_dir=os.fspath(root), file_format=file_format
            ).download_and_prepare(download_config=download_config)
    return make_builder(data_dir=os.fspath(data_dir))


def check_one_source(
    archive_dir: str | os.PathLike[str] | None,
    table: str | os.PathLike[str] | None,
) -> None:
    """Raises UserError unless there is one thing to build of."""
    if bool(archive_dir) == bool(table):
        raise errors.UserError(
            "Expected either `archive_dir`, with BigEarthNet, or `table`, "
            "which lists patches of your own. Received: "
            f"{'both' if table else 'neither'}."
        )


@contextlib.contextmanager
def _mendable_errors(data_dir: str | os.PathLike[str]) -> Iterator[None]:
    """Says how to build in spite of a damaged pair, and that a disk is full."""
    try:
        yield
    except patch_sources.UnreadableError:
        raise
    except errors.ArchiveError as error:
        raise errors.UserError(
            f"{error} To build without such patches, pass `on_error=skip`."
        ) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise errors.UserError(
            f"The disk of {os.fspath(data_dir)} is full. Free some space or "
            "choose another `data_dir`."
        ) from error


def summary(builder: tfds.core.DatasetBuilder) -> str:
    """Returns as text the sizes of the splits and where the dataset is."""
    part = builder.info.metadata["part"]
    is_own = builder.info.config_name == layout.OWN.version
    whole = "the own data" if is_own else "BigEarthNet"
    lines = [f"A part of {whole}: {part}"] if part else []
    lines += [
        f"{name}: {split.num_examples:,} {'patches' if is_own else 'pairs'}"
        for name, split in sorted(builder.info.splits.items())
    ]
    num_skipped = conversion.count_skipped(builder.data_path)
    if num_skipped is not None:
        skipped_file = builder.data_path / conversion.SKIPPED_FILE
        lines.append(f"skipped: {num_skipped:,}, listed in {skipped_file}")
    lines.append(f"The dataset is in {builder.data_path}")
    return "\n".join(lines)
