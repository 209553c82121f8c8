"""Builds the TFRecords of `bigearthnet_mm` from the archive, or of own patches.

python -m tfrecords_builder.build --archive_dir=... --data_dir=...
python -m tfrecords_builder.build --table=... --data_dir=...

--archive_dir holds the two tarballs of BigEarthNet v1.0 as downloaded (or
--download fetches them), or the two folders extracted from them. For v2.0,
pass --version=v2; its two metadata tables lie beside its tarballs or folders.
--table lists patches of your own, a row a patch: docs/building.md.
"""

from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import errors
from ben_tf import path_flags
from ben_tf.archive import layout
from ben_tf.cluster import cluster_flags
from tfrecords_builder import part_flags

_GROUPS = {
    "what to convert": ("archive_dir", "table", "files_dir"),
    "part of the archive": part_flags.NAMES,
    "how to build": (
        "version",
        "download",
        "overwrite",
        "on_error",
        "num_workers",
        "file_format",
        *cluster_flags.NAMES,
    ),
}


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    archive_dir = path_flags.define_path(
        "archive_dir",
        None,
        "Folder of the archive. It holds BigEarthNet-S2-v1.0.tar.gz and "
        "BigEarthNet-S1-v1.0.tar.gz (or .tar), or the folders BigEarthNet-v1.0 "
        "and BigEarthNet-S1-v1.0 extracted from them; of v2 "
        "BigEarthNet-S2.tar.zst and so on, and both tables.",
    )
    table = path_flags.define_path(
        "table",
        None,
        "Instead of --archive_dir: a CSV or Parquet file that lists patches of "
        "your own, with columns patch_name, labels, split; if you like "
        "country, season, s1_date, s2_date; and where the files are: "
        "s1_folder, s2_folder, or columns with the name of a grid or a band.",
    )
    files_dir = path_flags.define_path(
        "files_dir",
        None,
        "The folder that paths in --table start at; nothing outside of it is "
        "read. Default: that of the table.",
    )
    data_dir = path_flags.define_path(
        "data_dir",
        None,
        "Folder for TFDS datasets; the records go to bigearthnet_mm/v1 (or v2, "
        "or own) in it. The whole archive takes 163 GB there; 184 GB must be "
        "free at the start if it comes as .tar.gz.",
        required=True,
    )
    version = flags.DEFINE_enum(
        "version",
        layout.V1.version,
        layout.OFFICIAL,
        "Version of BigEarthNet: v1 as in the paper, or v2 (reBEN), whose two "
        "metadata tables lie in --archive_dir beside its folders or tarballs.",
    )
    make_part = part_flags.define()
    is_to_download = flags.DEFINE_bool(
        "download",
        False,
        "First download the tarballs (125 GB; 118 GB and the tables of v2) "
        "into --archive_dir and check them. An interrupted download resumes.",
    )
    on_error = flags.DEFINE_enum(
        "on_error",
        "raise",
        ["raise", "skip"],
        "What to do with a missing, damaged or inconsistent patch: stop, or "
        "leave the pair out and list it in skipped.csv next to the records.",
    )
    num_workers = flags.DEFINE_integer(
        "num_workers",
        None,
        "Number of worker processes. Default: one a core.",
        lower_bound=1,
    )
    overwrite = flags.DEFINE_bool(
        "overwrite",
        False,
        "Replace the dataset in --data_dir, which stays until the new one is "
        "complete.",
    )
    file_format = flags.DEFINE_enum(
        "file_format",
        "tfrecord",
        ["tfrecord", "array_record"],
        "Kind of files. tfrecord: for TensorFlow and the commands of this "
        "package. array_record: read at random by tfds.data_source, for "
        "PyTorch and JAX; needs pip install array_record.",
    )
    beam_arguments = cluster_flags.define()

    def main() -> None:
        # Here, because TFDS takes long to import.
        from tfrecords_builder import dataset

        dataset.check_one_source(archive_dir.value, table.value)
        if table.value and (is_to_download.value or version.present):
            raise errors.UserError(
                "`download` and `version` are about BigEarthNet. Expected "
                "neither with `table`."
            )
        if files_dir.value and not table.value:
            raise errors.UserError(
                "`files_dir` is where the paths in a table start. Expected "
                "`table` with it."
            )
        if is_to_download.value:
            from tfrecords_builder import download

            download.download_archive(
                archive_dir.value, download.FILES[version.value]
            )
        builder = dataset.build(
            data_dir=data_dir.value,
            archive_dir=archive_dir.value,
            table=table.value,
            files_dir=files_dir.value,
            version=version.value,
            part=make_part(layout.OWN.version, table.value)
            if table.value
            else make_part(version.value, archive_dir.value),
            on_error=on_error.value,
            num_workers=num_workers.value,
            overwrite=overwrite.value,
            file_format=file_format.value,
            **beam_arguments(),
        )
        print(dataset.summary(builder))

    return main


if __name__ == "__main__":
    command_line.run(command, groups=_GROUPS)
