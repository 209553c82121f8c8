"""Builds the TFRecords of `bigearthnet_mm` from the archive.

python -m tfrecords_builder.build --archive_dir=... --data_dir=...
"""

import contextlib
import io
import os
from collections.abc import Callable

from absl import flags

from ben_tf import command_line

flags.adopt_module_key_flags(command_line)


def build(
    *,
    archive_dir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str],
    on_error: str = "raise",
    num_workers: int | None = None,
    overwrite: bool = False,
):
    """Builds the dataset and returns its TFDS builder, ready to read.

    Args:
      archive_dir: Folder of the archive.
      data_dir: Folder for TFDS datasets.
      on_error: "raise" stops at the first damaged pair; "skip" leaves it out
        and lists it in `skipped.csv` beside the records.
      num_workers: Processes that convert; default: one a core.
      overwrite: Replace a dataset that is already there.

    Raises:
      command_line.UserError: The archive is missing or damaged, or the
        dataset is already there.
    """
    import tensorflow_datasets as tfds

    from tfrecords_builder import bigearthnet_mm_dataset_builder
    from tfrecords_builder import errors

    builder = bigearthnet_mm_dataset_builder.Builder(
        data_dir=os.fspath(data_dir),
        on_error=on_error,
        num_workers=num_workers,
    )
    if builder.is_prepared() and not overwrite:
        raise command_line.UserError(
            f"There is already a dataset in {builder.data_path}. Pass "
            "--overwrite to replace it, or another --data_dir."
        )
    # TFDS would only say that its "manual dir" is missing.
    if not os.path.isdir(archive_dir):
        raise command_line.UserError(
            f"There is no archive folder {os.fspath(archive_dir)!r}. Check "
            "--archive_dir."
        )
    download_mode = (
        tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
        if overwrite
        else tfds.GenerateMode.REUSE_DATASET_IF_EXISTS
    )
    try:
        # TFDS prints that it downloads a dataset of unknown size.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    manual_dir=os.fspath(archive_dir),
                    download_mode=download_mode,
                )
            )
    except errors.ArchiveError as error:
        raise command_line.UserError(
            f"{error} To build without such patches, pass --on_error=skip."
        ) from error
    return builder


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    archive_dir = flags.DEFINE_string(
        "archive_dir",
        None,
        "Folder of the archive. It holds BigEarthNet-v1.0 (Sentinel-2) and "
        "BigEarthNet-S1-v1.0 (Sentinel-1), extracted.",
        required=True,
    )
    data_dir = flags.DEFINE_string(
        "data_dir",
        None,
        "Folder for TFDS datasets; the records go to bigearthnet_mm/v1 in it. "
        "The whole archive takes 163 GB there.",
        required=True,
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
        "overwrite", False, "Replace a dataset that is already in --data_dir."
    )

    def main() -> None:
        builder = build(
            archive_dir=archive_dir.value,
            data_dir=data_dir.value,
            on_error=on_error.value,
            num_workers=num_workers.value,
            overwrite=overwrite.value,
        )
        for name, split in sorted(builder.info.splits.items()):
            print(f"{name}: {split.num_examples} pairs")
        print(f"The dataset is in {builder.data_path}")

    return main


if __name__ == "__main__":
    command_line.run(command)
