"""The TFDS dataset `bigearthnet_mm`: schema, splits, records."""

import os

import numpy as np
import tensorflow_datasets as tfds
from tqdm import auto as tqdm

from ben_tf import bigearthnet
from tfrecords_builder import archive as archive_lib
from tfrecords_builder import patch_pair
from tfrecords_builder import record
from tfrecords_builder import shards
from tfrecords_builder import splits
from tfrecords_builder import workers


class Builder(tfds.core.GeneratorBasedBuilder):
    """BigEarthNet-MM as TFRecords, pixels equal to the archive's bit for bit.

    The archive is the "manual dir" of TFDS. `python -m tfrecords_builder.build`
    is the usual way to run it; `tfds build` and `tfds.load` work too.
    """

    BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS expects a list.
        tfds.core.BuilderConfig(
            name="v1",
            version="1.0.0",
            description="BigEarthNet-MM v1.0 with its official splits.",
            release_notes={"1.0.0": "Initial release."},
        )
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put the two extracted folders of BigEarthNet v1.0, "
        f"{archive_lib.SENSOR_FOLDERS['S2'][0]} and "
        f"{archive_lib.SENSOR_FOLDERS['S1'][0]}, into the manual dir. Both "
        "come from https://zenodo.org/records/12687186."
    )

    def __init__(
        self, *, num_workers: int | None = None, on_error="raise", **kwargs
    ):
        """Prepares for building or reading; see `tfds.core.DatasetBuilder`.

        Args:
          num_workers: Processes that convert; default: one a core.
          on_error: "raise" stops at the first damaged pair; "skip" leaves it
            out and lists it in `skipped.csv` beside the records.
          **kwargs: As in TFDS: data_dir, config, version.
        """
        self._num_workers = num_workers or len(os.sched_getaffinity(0))
        self._skip_damaged = {"raise": False, "skip": True}[on_error]
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        """Returns the schema; everything downstream reads it from here."""
        features = tfds.features
        grids = {
            name: features.Tensor(
                shape=grid.shape,
                dtype=np.dtype(grid.dtype),
                encoding="bytes",
                doc=f"{grid.unit}; bands {', '.join(grid.bands)}",
            )
            for name, grid in bigearthnet.GRIDS.items()
        }
        labels = {
            f"labels_{num_classes}": features.Sequence(
                features.ClassLabel(names=list(names)),
                doc=f"labels of the {num_classes}-class nomenclature",
            )
            for num_classes, names in bigearthnet.CLASSES.items()
        }
        return self.dataset_info_from_configs(
            features=features.FeaturesDict(
                {
                    "patch_name": features.Text(),
                    "s1_name": features.Text(),
                    **grids,
                    **labels,
                    "country": features.ClassLabel(
                        names=list(bigearthnet.COUNTRIES)
                    ),
                    "season": features.ClassLabel(
                        names=list(bigearthnet.SEASONS)
                    ),
                    "seasonal_snow": features.Scalar(np.bool_),
                    "cloud_or_shadow": features.Scalar(np.bool_),
                    "epsg": features.Scalar(np.int32),
                    "upper_left": features.Tensor(
                        shape=(2,),
                        dtype=np.float64,
                        doc="easting and northing of the outer corner, metres",
                    ),
                    "s1_time": features.Text(doc="ISO 8601"),
                    "s2_time": features.Text(doc="ISO 8601"),
                }
            ),
            homepage="https://bigearth.net",
            license="CDLA-Permissive-1.0",
            metadata=tfds.core.MetadataDict(synthetic=False),
        )

    def _split_generators(self, dl_manager):
        """Returns the examples of each split that the archive has pairs of."""
        archive, pairs_of_split, _ = self._open_archive(dl_manager.manual_dir)
        return {
            split: self._generate_examples(archive, pairs)
            for split, pairs in pairs_of_split.items()
        }

    def _generate_examples(self, archive, pairs):
        """Yields (S2 name, example)."""
        for official in pairs:
            yield (
                official.s2_name,
                record.example(patch_pair.read(archive, official)),
            )

    def _generate_splits(self, dl_manager, download_config):
        """Writes the shards in parallel, with the records TFDS would write.

        Other file formats than TFRecord take the way of TFDS, which uses
        `_split_generators`.
        """
        if self.info.file_format != tfds.core.FileFormat.TFRECORD:
            return super()._generate_splits(dl_manager, download_config)
        archive, pairs_of_split, problems = self._open_archive(
            dl_manager.manual_dir
        )
        if problems and not self._skip_damaged:
            raise problems[0]
        tasks = [
            task
            for split, pairs in pairs_of_split.items()
            for task in self._plan_shards(split, pairs, download_config)
        ]
        results = []
        with tqdm.tqdm(
            total=sum(len(task.pairs) for task in tasks), unit="pair"
        ) as progress:
            for result in workers.write_shards(
                tasks, archive=archive, num_workers=self._num_workers
            ):
                progress.update(len(result.metadata) + len(result.problems))
                results.append(result)
        problems = problems + [p for r in results for p in r.problems]
        return [
            self._finish_split(split, [r for r in results if r.split == split])
            for split in pairs_of_split
            if any(r.metadata for r in results if r.split == split)
        ]

    def _open_archive(self, archive_dir):
        archive = archive_lib.FolderArchive(archive_dir)
        self.info.metadata["synthetic"] = archive_lib.is_synthetic(archive_dir)
        inventory = archive_lib.take_inventory(
            archive, splits.official_patches()
        )
        pairs_of_split = {}
        for split in bigearthnet.SPLIT_SIZES:
            pairs = [pair for pair in inventory.pairs if pair.split == split]
            if pairs:
                pairs_of_split[split] = shards.in_record_order(split, pairs)
        return archive, pairs_of_split, inventory.problems

    def _plan_shards(self, split, pairs, download_config):
        if download_config.max_examples_per_split is not None:
            pairs = pairs[: download_config.max_examples_per_split]
        num_shards = download_config.get_shard_config().get_number_shards(
            len(pairs) * record.APPROXIMATE_BYTES, len(pairs)
        )
        template = self._get_filename_template(split_name=split)
        for index, (first, end) in enumerate(
            shards.boundaries(len(pairs), num_shards)
        ):
            yield shards.ShardTask(
                split=split,
                path=os.fspath(
                    template.sharded_filepath(
                        shard_index=index, num_shards=num_shards
                    )
                ),
                pairs=pairs[first:end],
                skip_damaged=self._skip_damaged,
            )

    def _finish_split(self, split, results):
        """Names the files by how many there are; an empty one is none."""
        template = self._get_filename_template(split_name=split)
        num_planned = len(results)
        results = [result for result in results if result.metadata]
        if len(results) < num_planned:
            for index, result in enumerate(results):
                os.replace(
                    result.path,
                    template.sharded_filepath(
                        shard_index=index, num_shards=len(results)
                    ),
                )
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=[len(result.metadata) for result in results],
            num_bytes=sum(result.num_bytes for result in results),
            filename_template=template,
        )
