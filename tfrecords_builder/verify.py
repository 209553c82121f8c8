"""Checks an archive or its records: complete, undamaged, consistent?

python -m tfrecords_builder.verify --archive_dir=...
python -m tfrecords_builder.verify --data_dir=...

Reads every file. Prints how much is whole and what is missing, surplus or
broken, and exits with 0 only if all is well.
"""

import sys
from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import errors
from ben_tf import path_flags
from tfrecords_builder import verification


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    archive_dir = path_flags.define_path(
        "archive_dir",
        None,
        "Folder of the archive: the two folders, or the two tarballs.",
    )
    data_dir = path_flags.define_path(
        "data_dir",
        None,
        "Folder of TFDS datasets, to check the records that "
        "tfrecords_builder.build wrote there, instead of an archive.",
    )
    csv_path = path_flags.define_path(
        "csv",
        None,
        "File to list all that is missing, surplus or broken. Without it only "
        "the first are printed.",
    )
    partial = flags.DEFINE_bool(
        "partial",
        False,
        "Expect only the pairs that are there, for a part of the archive, or "
        "those that the dataset says it holds.",
    )
    num_workers = flags.DEFINE_integer(
        "num_workers",
        None,
        "Number of worker processes. Default: one a core.",
        lower_bound=1,
    )
    scratch_dir = path_flags.define_path(
        "scratch_dir",
        None,
        "Where compressed tarballs are inflated during the check; 167 GB "
        "for the whole archive. Default: the system's temporary folder.",
    )

    def main() -> None:
        if archive_dir.value and not data_dir.value:
            report = verification.verify(
                archive_dir.value,
                csv_path=csv_path.value,
                partial=partial.value,
                num_workers=num_workers.value,
                scratch_dir=scratch_dir.value,
            )
        elif data_dir.value and not archive_dir.value:
            if scratch_dir.value:
                raise errors.UserError(
                    "Records are not inflated. Expected `scratch_dir` with "
                    "`archive_dir` only."
                )
            # Here, because TFDS takes long to import.
            from tfrecords_builder import record_verification

            report = record_verification.verify(
                data_dir.value,
                csv_path=csv_path.value,
                partial=partial.value,
                num_workers=num_workers.value,
            )
        else:
            raise errors.UserError(
                "Expected either `archive_dir`, to check an archive, or "
                "`data_dir`, to check the records built of one. Received: "
                f"{'both' if data_dir.value else 'neither'}."
            )
        print(command_line.with_flags(verification.summary(report)))
        sys.exit(not report.is_well)

    return main


if __name__ == "__main__":
    command_line.run(command)
