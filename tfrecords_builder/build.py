"""Builds the TFRecords of `bigearthnet_mm` from the archive.

python -m tfrecords_builder.build --archive_dir=... --data_dir=...

--archive_dir holds the two tarballs of BigEarthNet v1.0 as downloaded (or
--download fetches them), or the two folders extracted from them.
"""

import contextlib
import errno
import io
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from ben_tf import bigearthnet
from ben_tf import command_line
from ben_tf import errors

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

flags.adopt_module_key_flags(command_line)


def build(
    *,
    archive_dir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str],
    on_error: str = "raise",
    num_workers: int | None = None,
    overwrite: bool = False,
    beam_runner: str | None = None,
    beam_pipeline_options: str | None = None,
) -> "tfds.core.DatasetBuilder":
    """Builds the dataset and returns its TFDS builder, ready to read.

    Args:
      archive_dir: Folder of the archive.
      data_dir: Folder for TFDS datasets.
      on_error: "raise" stops at the first damaged pair; "skip" leaves it out
        and lists it in `skipped.csv` beside the records.
      num_workers: Processes that convert; default: one a core.
      overwrite: Replace a dataset that is already there.
      beam_runner: Name of the Apache Beam runner that converts instead.
      beam_pipeline_options: Options of Beam: "name=value,name=value".

    Raises:
      errors.UserError: The archive is missing or damaged, the dataset
        is already there, the disk is full, or another build is running.
    """
    import tensorflow_datasets as tfds

    from ben_tf.archive import patch_sources
    from tfrecords_builder import beam_pipeline
    from tfrecords_builder import bigearthnet_mm_dataset_builder
    from tfrecords_builder import unfinished

    beam_options = None
    if beam_runner or beam_pipeline_options:
        names = (beam_pipeline_options or "").split(",")
        beam_options = beam_pipeline.import_beam().options.pipeline_options
        beam_options = beam_options.PipelineOptions(
            flags=[f"--{name}" for name in names if name]
        )
    download_config = tfds.download.DownloadConfig(
        manual_dir=os.fspath(archive_dir),
        beam_runner=beam_runner,
        beam_options=beam_options,
    )
    patch_sources.find_sensors(archive_dir)

    def make_builder(
        root: str | os.PathLike[str],
    ) -> bigearthnet_mm_dataset_builder.Builder:
        return bigearthnet_mm_dataset_builder.Builder(
            data_dir=os.fspath(root), on_error=on_error, num_workers=num_workers
        )

    dataset_dir = os.path.join(data_dir, bigearthnet.DATASET_NAME)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(unfinished.alone_in(dataset_dir))
            for what_was_done in unfinished.clean_up(dataset_dir):
                print(what_was_done, flush=True)
            old = make_builder(data_dir)
            root = data_dir
            if old.is_prepared():
                if not overwrite:
                    raise errors.UserError(
                        f"There is already a dataset in {old.data_path}. Pass "
                        "--overwrite to replace it, or another --data_dir."
                    )
                root = stack.enter_context(
                    unfinished.replacement(pathlib.Path(old.data_path))
                )
            # TFDS prints that it downloads a dataset of unknown size.
            with contextlib.redirect_stdout(io.StringIO()):
                make_builder(root).download_and_prepare(
                    download_config=download_config
                )
    except errors.ArchiveError as error:
        raise errors.UserError(
            f"{error} To build without such patches, pass --on_error=skip."
        ) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise errors.UserError(
            f"The disk of {os.fspath(data_dir)} is full. Free some space or "
            "choose another --data_dir."
        ) from error
    return make_builder(data_dir)


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    archive_dir = flags.DEFINE_string(
        "archive_dir",
        None,
        "Folder of the archive. It holds BigEarthNet-S2-v1.0.tar.gz and "
        "BigEarthNet-S1-v1.0.tar.gz (or .tar), or the folders BigEarthNet-v1.0 "
        "and BigEarthNet-S1-v1.0 extracted from them.",
        required=True,
    )
    data_dir = flags.DEFINE_string(
        "data_dir",
        None,
        "Folder for TFDS datasets; the records go to bigearthnet_mm/v1 in it. "
        "The whole archive takes 163 GB there, and 177 GB more for the time of "
        "the build if it comes as .tar.gz.",
        required=True,
    )
    download = flags.DEFINE_bool(
        "download",
        False,
        "First download the tarballs (125 GB) into --archive_dir and check "
        "them. An interrupted download resumes.",
    )
    on_error = flags.DEFINE_enum(
        "on_error",
        "raise",
        ["raise", "skip"],
        "What to do at a missing, damaged or inconsistent patch: stop, or "
        "leave the pair out and list it in skipped.csv beside the records.",
    )
    num_workers = flags.DEFINE_integer(
        "num_workers",
        None,
        "Processes that convert. Default: one a core.",
        lower_bound=1,
    )
    overwrite = flags.DEFINE_bool(
        "overwrite",
        False,
        "Replace a dataset that is already in --data_dir; it stays until the "
        "new one is complete.",
    )
    beam_runner = flags.DEFINE_string(
        "beam_runner",
        None,
        "Convert on Apache Beam: DirectRunner, FlinkRunner, SparkRunner or "
        "DataflowRunner. All workers must see both folders.",
    )
    beam_pipeline_options = flags.DEFINE_string(
        "beam_pipeline_options",
        None,
        "Options of Apache Beam, such as "
        "flink_master=localhost:8081,environment_type=LOOPBACK.",
    )

    def main() -> None:
        from tfrecords_builder import conversion

        if download.value:
            from tfrecords_builder import download as download_lib

            download_lib.download_archive(archive_dir.value)
        builder = build(
            archive_dir=archive_dir.value,
            data_dir=data_dir.value,
            on_error=on_error.value,
            num_workers=num_workers.value,
            overwrite=overwrite.value,
            beam_runner=beam_runner.value,
            beam_pipeline_options=beam_pipeline_options.value,
        )
        for name, split in sorted(builder.info.splits.items()):
            print(f"{name}: {split.num_examples:,} pairs")
        num_skipped = conversion.count_skipped(builder.data_path)
        if on_error.value == "skip":
            print(
                f"skipped: {num_skipped:,}, listed in "
                f"{builder.data_path / conversion.SKIPPED_FILE}"
            )
        print(f"The dataset is in {builder.data_path}")

    return main


if __name__ == "__main__":
    command_line.run(command)
