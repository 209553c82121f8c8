"""The kinds of files that `hostile` damages: how to make and to read them.

Packages are imported where they are used: a process reads one kind, and most
kinds need no TensorFlow.
"""

import dataclasses
import functools
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors

# Grid of a scene's band -> metres of a pixel.
_RESOLUTIONS = {"10m": 10, "20m": 20, "60m": 60}
_SCENE_M = 1200
_EPSG = "EPSG:32629"
_SHOWN_DIGITS = 6


@dataclasses.dataclass(frozen=True)
class Kind:
    """Files that can be damaged.

    Attributes:
      make: Writes them to a new folder.
      damaged: Glob patterns, relative to the folder, of what is damaged.
      read: Reads the folder as a command does; returns all that was read.
    """

    make: Callable[[pathlib.Path], object]
    damaged: Sequence[str]
    read: Callable[[pathlib.Path], object]


def plain(value: object) -> object:
    """Turns arrays and what holds them into something that `repr` shows."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, Mapping):
        return [(key, plain(item)) for key, item in value.items()]
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


# --- Scenes ----------------------------------------------------------------


class _Means:
    """Stands in for a network: a probability is the mean of a grid, or 0."""

    input_names = ("s1", "s2_10m", "s2_20m", "s2_60m")
    class_names = bigearthnet.CLASSES_19
    model = "means"
    fingerprint = ""
    trained_on = ()
    trained_on_synthetic = True

    def serve(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """Takes (B, size, size, bands) arrays; returns (B, 19) means."""
        means = [
            np.asarray(inputs[name], float).mean((1, 2, 3))
            for name in self.input_names
        ]
        zeros = np.zeros_like(means[0])
        missing = len(self.class_names) - len(means)
        return np.stack(means + [zeros] * missing, axis=1)


def _make_scene(folder: pathlib.Path, *, driver: str, suffix: str) -> None:
    import rasterio

    rng = np.random.default_rng(0)

    def write(path: pathlib.Path, pixels: np.ndarray, **options: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            count=len(pixels),
            height=pixels.shape[1],
            width=pixels.shape[2],
            dtype=pixels.dtype,
            crs=_EPSG,
            transform=rasterio.transform.from_origin(
                500_040,
                4_900_020,
                _SCENE_M / pixels.shape[1],
                _SCENE_M / pixels.shape[1],
            ),
            **options,
        ) as file:
            file.write(pixels)

    lossless = (
        {"driver": driver, "reversible": "yes", "quality": "100"}
        if driver == "JP2OpenJPEG"
        else {"driver": driver, "compress": "deflate"}
    )
    for name, metres in _RESOLUTIONS.items():
        size = _SCENE_M // metres
        for band in bigearthnet.GRIDS[f"s2_{name}"].bands:
            pixels = rng.integers(100, 9000, (1, size, size)).astype("uint16")
            write(folder / "S2" / f"{band}{suffix}", pixels, **lossless)
    decibels = rng.normal(-15, 4, (2, 120, 120)).astype("float32")
    decibels[1] -= 7
    write(folder / "S1.tif", decibels, driver="GTiff", compress="deflate")


def _read_scene(folder: pathlib.Path) -> object:
    import rasterio

    from ben_tf.predict import scene

    with tempfile.TemporaryDirectory() as scratch:
        path = scene.predict_scene(
            _Means(),  # type: ignore[arg-type]
            s2_scene=folder / "S2",
            s1_scene=folder / "S1.tif",
            output=pathlib.Path(scratch, "map.tif"),
        ).path
        with rasterio.open(path) as file:
            return file.read().round(_SHOWN_DIGITS), tuple(file.transform)


# --- Archives and records --------------------------------------------------

_NUM_PAIRS = 6


def _make_archive(folder: pathlib.Path) -> None:
    from tfrecords_builder import sample_writer

    sample_writer.write_sample_archive(folder, num_pairs=_NUM_PAIRS)


def _make_tarballs(folder: pathlib.Path, *, archive_format: str) -> None:
    _make_archive(folder)
    for path in list(folder.iterdir()):
        if path.is_dir():
            shutil.make_archive(
                str(path), archive_format, root_dir=folder, base_dir=path.name
            )
            shutil.rmtree(path)


def _read_archive(folder: pathlib.Path) -> object:
    """All pairs; the first fault that `verify` would list is raised."""
    from ben_tf.archive import inventory
    from ben_tf.archive import official_lists
    from ben_tf.archive import open_archive
    from ben_tf.archive import pair_check
    from ben_tf.archive import patch_pair

    with tempfile.TemporaryDirectory() as scratch:
        archive = open_archive.open_archive(folder, scratch_dir=scratch)
        found = inventory.take(archive, official_lists.official_patches())
        faults = [
            *found.faults,
            *(
                fault
                for pair_faults in pair_check.check_pairs(found.pairs, archive)
                for fault in pair_faults
            ),
        ]
        if faults:
            raise errors.ArchiveError(faults[0].place, faults[0].reason)
        return [tuple(patch_pair.read(archive, pair)) for pair in found.pairs]


def _make_records(folder: pathlib.Path) -> None:
    from tfrecords_builder import dataset

    _make_archive(folder / "archive")
    dataset.build(
        archive_dir=folder / "archive", data_dir=folder / "data", num_workers=1
    )
    shutil.rmtree(folder / "archive")


def _read_records(folder: pathlib.Path) -> object:
    from ben_tf.data import built_dataset
    from ben_tf.data import input_pipeline

    builder = built_dataset.open_dataset(folder / "data")
    return [
        (batch["inputs"], batch["labels"], batch["patch_name"])
        for batch in input_pipeline.read_batches(
            builder,
            "all",
            batch_size=_NUM_PAIRS,
            grids=tuple(bigearthnet.GRIDS),
            metadata=("patch_name",),
        )
    ]


def _verify_records(folder: pathlib.Path) -> object:
    from tfrecords_builder import record_verification

    found = record_verification.verify(
        folder / "data", partial=True, num_workers=1
    )
    if not found.is_well:
        raise errors.UserError(str(found.faults.first[0]))
    return found.counts


# --- What a run leaves behind ----------------------------------------------


@functools.cache
def _model() -> Any:
    from ben_tf import models

    return models.make_model("small_cnn")


def _make_run(folder: pathlib.Path) -> None:
    from ben_tf import config
    from ben_tf.evaluation import evaluation
    from ben_tf.training import trainer
    from tfrecords_builder import dataset
    from tfrecords_builder import sample_writer

    with tempfile.TemporaryDirectory() as scratch:
        archive, data = pathlib.Path(scratch, "a"), pathlib.Path(scratch, "d")
        sample_writer.write_sample_archive(archive, num_pairs=48)
        dataset.build(archive_dir=archive, data_dir=data, num_workers=1)
        trainer.train(
            config.Config(
                data_dir=str(data),
                model="small_cnn",
                batch_size=8,
                epochs=2,
                validation_split="validation",
            ),
            folder,
        )
        evaluation.evaluate(workdir=folder, data_dir=data)


def _make_index(folder: pathlib.Path, *, search: str) -> None:
    from ben_tf.retrieval import index_builder
    from ben_tf.retrieval import index_writer

    _make_records(folder)
    _make_run(folder / "run")
    index_builder.build_index(
        saved_model=folder / "run" / "saved_model",
        data_dir=folder / "data",
        output_dir=folder / "index",
        splits=("all",),
        options=index_writer.IndexOptions(search=search, distance="euclidean"),
    )


def _read_index(folder: pathlib.Path) -> object:
    from ben_tf.retrieval import answer_formats
    from ben_tf.retrieval import index
    from ben_tf.retrieval import query

    opened = index.Index.open(folder / "index")
    answer = query.query(opened, names=[opened.names[0]], k=3)
    return [answer_formats.write(answer, x) for x in answer_formats.FORMATS]


def _read_predictions(folder: pathlib.Path) -> object:
    from ben_tf import workdir
    from ben_tf.evaluation import predictions

    path = workdir.Workdir(folder).predictions_file("test")
    return vars(predictions.load(path))


def _read_descriptions(folder: pathlib.Path) -> object:
    from ben_tf import workdir as workdir_lib
    from ben_tf.evaluation import history
    from ben_tf.evaluation import results

    workdir = workdir_lib.Workdir(folder)
    return (
        workdir.read_config(),
        workdir.read_data(),
        history.History.read(workdir),
        results.Evaluation.read(workdir, "test"),
    )


def _read_checkpoint(folder: pathlib.Path) -> object:
    from ben_tf import workdir
    from ben_tf.training import checkpoints

    model = _model()
    checkpoints.restore_best(workdir.Workdir(folder), model)
    return model.get_weights()


def _read_saved_model(folder: pathlib.Path) -> object:
    from ben_tf import saved_model

    model = saved_model.load(folder / "saved_model")
    rng = np.random.default_rng(0)
    inputs = {
        name: rng.integers(1, 99, (1, *bigearthnet.GRIDS[name].shape)).astype(
            bigearthnet.GRIDS[name].dtype
        )
        for name in model.input_names
    }
    return np.asarray(model.serve(inputs)).round(_SHOWN_DIGITS)


KINDS: Mapping[str, Kind] = {
    "geotiff_scene": Kind(
        functools.partial(_make_scene, driver="GTiff", suffix=".tif"),
        ["S2/*", "S1.tif"],
        _read_scene,
    ),
    "jp2_scene": Kind(
        functools.partial(_make_scene, driver="JP2OpenJPEG", suffix=".jp2"),
        ["S2/*"],
        _read_scene,
    ),
    "patches": Kind(_make_archive, ["*/*/*"], _read_archive),
    "tar": Kind(
        functools.partial(_make_tarballs, archive_format="tar"),
        ["*.tar"],
        _read_archive,
    ),
    "tar_gz": Kind(
        functools.partial(_make_tarballs, archive_format="gztar"),
        ["*.tar.gz"],
        _read_archive,
    ),
    "records": Kind(_make_records, ["data/**/*.*"], _read_records),
    "verify_records": Kind(_make_records, ["data/**/*.*"], _verify_records),
    "predictions": Kind(_make_run, ["predictions/*.npz"], _read_predictions),
    "descriptions": Kind(
        _make_run,
        ["config.json", "data.json", "history.csv", "metrics/*.json"],
        _read_descriptions,
    ),
    "checkpoint": Kind(_make_run, ["checkpoints/best/*"], _read_checkpoint),
    "saved_model": Kind(
        _make_run,
        ["saved_model/*.pb", "saved_model/variables/*"],
        _read_saved_model,
    ),
    **{
        f"{search}_index": Kind(
            functools.partial(_make_index, search=search),
            ["index/**/*.*"],
            _read_index,
        )
        for search in ("flat", "hnsw", "ivf_pq", "binary")
    },
}
