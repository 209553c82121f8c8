"""The TFDS builder of `bigearthnet_mm`: schema, splits, records."""

import functools
import os
import pathlib
import shutil
import sys
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from ben_tf import errors
from ben_tf import folder_lock
from ben_tf.archive import known_pairs
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import open_archive
from ben_tf.archive import own_source
from ben_tf.archive import own_table
from ben_tf.archive import parts
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources
from ben_tf.cluster import runners
from ben_tf.data import built_dataset
from tfrecords_builder import beam_pipeline
from tfrecords_builder import conversion
from tfrecords_builder import kept_shards
from tfrecords_builder import part_archive
from tfrecords_builder import patch_pictures
from tfrecords_builder import record
from tfrecords_builder import schema
from tfrecords_builder import tfds_internals
from tfrecords_builder import unfinished
from tfrecords_builder import workers

tfds_internals.show_examples_with(patch_pictures.PairVisualizer())

_OF_BIGEARTHNET = {
    "homepage": "https://bigearth.net",
    "license": "CDLA-Permissive-1.0",
}
_OF_OWN_DATA = {
    "description": "Patches of somebody's own, not BigEarthNet, in its grids, "
    "units and nomenclatures. metadata.json says which sensors and "
    "nomenclatures they have: pixels of another sensor are 0, and there are no "
    "labels of another nomenclature. A country or season of -1 is unknown.",
    "license": "unknown",
}


class Builder(tfds_internals.SplitWriter):
    """BigEarthNet-MM as TFRecords, pixels equal to the archive's bit for bit.

    The archive is the "manual dir" of TFDS. `python -m tfrecords_builder.build`
    is the usual way to run it; `tfds.load` works too, and `tfds build` as
    docs/building.md shows.
    """

    BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS expects a list.
        tfds.core.BuilderConfig(
            name=lies.version,
            version="1.0.0",
            description="Somebody's own patches, not BigEarthNet."
            if lies is layout.OWN
            else f"{lies.title} with its official splits.",
            release_notes={"1.0.0": "Initial release."},
        )
        # The first one is what a name without a config means.
        for lies in layout.LAYOUTS.values()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "v1: Put BigEarthNet-S2-v1.0.tar.gz and BigEarthNet-S1-v1.0.tar.gz "
        "from https://zenodo.org/records/12687186 into the manual dir, or what "
        "they hold. v2: Put BigEarthNet-S2.tar.zst, BigEarthNet-S1.tar.zst and "
        "the two tables from https://zenodo.org/records/10891137 there. own: "
        "python -m tfrecords_builder.build --table=... builds it of a table."
    )

    def __init__(
        self,
        *,
        num_workers: int | None = None,
        on_error: str = "raise",
        part: parts.Part | None = None,
        table: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ):
        """Prepares for building or reading; see `tfds.core.DatasetBuilder`.

        Args:
          num_workers: Number of worker processes; default: one a core.
          on_error: "raise" stops at the first damaged pair; "skip" leaves it
            out and lists it in `skipped.csv` next to the records.
          part: Which pairs to build; default: all.
          table: Of the config "own", the file that lists the patches, whose
            paths start at the manual dir.
          **kwargs: As in TFDS: data_dir, config, version.
        """
        self._num_workers = num_workers
        self._part = part or parts.Part()
        self._table = table
        if on_error not in ("raise", "skip"):
            raise ValueError(
                "Unknown `on_error`. Expected 'raise' or 'skip'. "
                f"Received: {on_error!r}"
            )
        self._skip_damaged = on_error == "skip"
        super().__init__(**kwargs)

    @property
    def version_name(self) -> str:
        """The version of BigEarthNet, a key of `layout.LAYOUTS`."""
        return self.builder_config.name

    def _info(self) -> tfds.core.DatasetInfo:
        """Returns the schema; everything downstream reads it from here."""
        contents = {
            "features": schema.features(self.version_name),
            "metadata": tfds.core.MetadataDict(
                synthetic=built_dataset.NO,
                has_maps=built_dataset.NO,
                part=self._part.description,
            ),
        }
        if self.version_name == layout.OWN.version:
            info = tfds.core.DatasetInfo(
                builder=self, **_OF_OWN_DATA, **contents
            )
        else:
            info = self.dataset_info_from_configs(**_OF_BIGEARTHNET, **contents)
        return tfds_internals.described_here(info)

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, object]]]]:
        """Returns the examples of each split that the archive has pairs of.

        TFDS asks for this method. `write_splits` takes its place, whose records
        tests hold against those that TFDS makes of these examples.
        """
        archive, official = self._open_archive(dl_manager)
        pairs_of_split, _ = conversion.plan_splits(
            archive, official, skip_damaged=False, part=self._part
        )
        return {
            split: self._generate_examples(archive, pairs)
            for split, pairs in pairs_of_split.items()
        }

    def _generate_examples(
        self,
        archive: patch_sources.Archive,
        pairs: Iterable[official_lists.OfficialPatch],
    ) -> Iterator[tuple[str, dict[str, object]]]:
        """Yields (S2 name, example)."""
        for official in pairs:
            yield (
                official.s2_name,
                record.example(patch_pair.read(archive, official)),
            )

    def download_and_prepare(self, **kwargs: Any) -> None:
        """As in TFDS, while nobody else builds this dataset.

        Raises:
          errors.UserError: Another process does.
        """
        folder = self.data_path.parents[1]
        # TFDS also comes here for a dataset that is there already.
        if self.is_prepared() or "://" in str(folder):
            super().download_and_prepare(**kwargs)
            return
        with folder_lock.alone_in(
            folder,
            message=f"Another build is writing to {folder}. Wait for it or "
            "choose another `data_dir`.",
        ):
            for what_was_done in unfinished.clean_up(folder):
                print(what_was_done, flush=True)
            super().download_and_prepare(**kwargs)

    def write_splits(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> Sequence[tfds.core.SplitInfo]:
        """Writes shards in parallel, with the records that TFDS would write."""
        try:
            return self._convert(dl_manager, download_config)
        finally:
            self._scratch_dir.rmtree(missing_ok=True)

    def _convert(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> list[tfds.core.SplitInfo]:
        kept = self._kept_dir
        try:
            splits = conversion.convert(
                *self._open_archive(dl_manager),
                folder=self.data_path,
                templates=functools.partial(
                    tfds_internals.filename_template, self
                ),
                num_shards=download_config.get_shard_config().get_number_shards,
                runner=self._runner(download_config),
                frees_scratch=not _on_beam(download_config),
                skip_damaged=self._skip_damaged,
                part=self._part,
                max_pairs_per_split=download_config.max_examples_per_split,
                kept_dir=kept,
                file_format=self.info.file_format.value,
            )
        except BaseException:
            # TFDS removes all that is left.
            if kept:
                number, num_bytes = unfinished.keep_finished(
                    pathlib.Path(self.data_path), kept
                )
                print(
                    f"{number:,} finished shards ({num_bytes / 1e9:.1f} GB) "
                    f"wait in {kept} for the next build. Remove that folder if "
                    "there will be none."
                    if number
                    else "No finished shard is kept.",
                    file=sys.stderr,
                )
            raise
        if kept:
            shutil.rmtree(kept, ignore_errors=True)
        return splits

    def _runner(
        self, download_config: tfds.download.DownloadConfig
    ) -> conversion.Runner:
        if _on_beam(download_config):
            return functools.partial(
                beam_pipeline.run,
                folder=self.data_path,
                cluster=runners.with_runner(
                    download_config.beam_runner, download_config.beam_options
                ),
            )
        return functools.partial(
            workers.run, kept_shards.write_shard, num_workers=self._num_workers
        )

    def _open_archive(
        self, dl_manager: tfds.download.DownloadManager
    ) -> tuple[patch_sources.Archive, known_pairs.Pairs]:
        archive_dir = epath.Path(beam_pipeline.absolute(dl_manager.manual_dir))
        if self.version_name == layout.OWN.version:
            return self._open_table(archive_dir)
        self.info.metadata["synthetic"] = _mark(
            layout.is_synthetic(archive_dir)
        )
        # Before hours of inflating.
        layout.find_sensors(
            archive_dir, layout=layout.LAYOUTS[self.version_name]
        )
        official = known_pairs.read(self.version_name, archive_dir)
        # Records are verified by them, where the archive may be out of reach.
        for name in layout.LAYOUTS[self.version_name].tables:
            (self.data_path / name).write_bytes(
                (archive_dir / name).read_bytes()
            )
        # How much a part takes nobody knows before.
        if self._kept_dir and not self._part.description:
            for what_was_done in unfinished.make_room(
                self._kept_dir,
                open_archive.scratch_bytes(archive_dir, self.version_name),
            ):
                print(what_was_done, file=sys.stderr)
        archive = part_archive.open_part(
            archive_dir,
            official,
            self._part,
            version=self.version_name,
            skip_damaged=self._skip_damaged,
            scratch_dir=self._scratch_dir,
        )
        self.info.metadata["has_maps"] = _mark(layout.MAPS in archive.sources)
        return archive, official

    def _open_table(
        self, files_dir: str | os.PathLike[str]
    ) -> tuple[patch_sources.Archive, known_pairs.Pairs]:
        if self._table is None:
            raise errors.UserError(
                "Own data are listed in a table. Expected `table`, a CSV or "
                "Parquet file, as docs/building.md describes it."
            )
        table = own_table.read(self._table, files_dir=files_dir)
        self.info.metadata["synthetic"] = _mark(
            own_table.is_synthetic(table, self._table)
        )
        self.info.metadata["sensors"] = " ".join(table.paths)
        self.info.metadata["nomenclatures"] = " ".join(
            map(str, table.nomenclatures)
        )
        # Records are verified by it.
        (self.data_path / own_table.LIST_FILE).write_text(
            own_table.list_text(table)
        )
        return own_source.open_table(table), table.pairs

    @property
    def _kept_dir(self) -> pathlib.Path | None:
        """Where finished shards wait; only on the disks of this machine."""
        if "://" in str(self.data_path):
            return None
        return unfinished.kept_dir(pathlib.Path(self.data_path))

    @property
    def _scratch_dir(self) -> epath.Path:
        """A folder that vanishes with the unfinished dataset."""
        return epath.Path(beam_pipeline.absolute(self.data_path)) / "scratch"


def _mark(is_so: bool) -> str:
    """What metadata.json says: `tfds.show_examples` iterates over its values.

    As in a condition of Python, "" is no.
    """
    return built_dataset.YES if is_so else built_dataset.NO


def _on_beam(download_config: tfds.download.DownloadConfig) -> bool:
    return bool(download_config.beam_runner or download_config.beam_options)
