"""Compares embedding and prediction with the bare model.

    python benchmarks/inference.py

The bare model gets one batch in memory again and again; ours reads as many
patches from the records of the synthetic sample, or the windows of a synthetic
scene, and writes what comes out. Networks are untrained. Medians of --rounds,
taken in turns. The last lines are ratios of patches per second, ours / bare:

  embed_NETWORK_of_bare_model  embedding a split for an index; the quicker the
                               network, the less time there is to read
  scene_NETWORK_of_bare_model  a map of a whole scene of both sensors
"""

import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import turns
from absl import app
from absl import flags
from absl import logging

if TYPE_CHECKING:
    from ben_tf import saved_model

_NETWORKS = flags.DEFINE_list(
    "networks", ["small_cnn", "k_branch_cnn", "resnet50"], "To embed with."
)
_SCENE_NETWORKS = flags.DEFINE_list(
    "scene_networks", ["small_cnn", "resnet50"], "To predict a scene with."
)
_NUM_PAIRS = flags.DEFINE_integer(
    "num_pairs", 2000, "Pairs of the sample; about half are embedded."
)
_NUM_WINDOWS = flags.DEFINE_integer(
    "num_windows", 24, "Windows of 1.2 km on each side of the scene."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Patches at once.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of each comparison.")


def main(_: list[str]) -> None:
    """Prints the figures."""
    logging.set_verbosity(logging.ERROR)
    from tfrecords_builder import dataset
    from tfrecords_builder import sample_writer

    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if _NETWORKS.value:
            sample_writer.write_sample_archive(
                folder / "archive", num_pairs=_NUM_PAIRS.value
            )
            dataset.build(
                archive_dir=folder / "archive", data_dir=folder / "data"
            )
            # Writing that goes on behind would make the first rounds wait.
            os.sync()
        for name in _NETWORKS.value:
            figures[f"embed_{name}"] = measure_embedding(folder, name)
        for name in _SCENE_NETWORKS.value:
            figures[f"scene_{name}"] = measure_scene(folder, name)
    for name, value in figures.items():
        print(f"{name}_of_bare_model: {value:.3f}")


def measure_embedding(folder: pathlib.Path, name: str) -> float:
    """Embeds split train of FOLDER/data; returns our speed / the bare one."""
    from ben_tf.data import built_dataset
    from ben_tf.data import input_pipeline
    from ben_tf.retrieval import embedding
    from ben_tf.retrieval import index_builder

    model = _model(folder, name)
    builder = built_dataset.open_dataset(folder / "data")
    size = _BATCH_SIZE.value
    count = built_dataset.num_examples(builder, "train")
    count -= count % size
    split = f"train[:{count}]"
    batches = input_pipeline.native_batches(
        builder, split, grids=model.input_names, batch_size=size
    )
    inputs = next(iter(batches))["inputs"]
    provenance = embedding.Provenance(
        modality="MM",
        splits=(split,),
        class_names=model.class_names,
        fingerprint=model.fingerprint,
        saved_model=str(folder / name),
        synthetic=True,
    )

    def bare() -> None:
        for _ in range(count // size):
            model.embed(inputs).numpy()

    def ours() -> None:
        index_builder.embed_splits(
            model,
            builder,
            provenance,
            path=folder / "embeddings.npy",
            batch_size=size,
        )

    return _compare(f"{name}, embedding", ours, bare, count)


def measure_scene(folder: pathlib.Path, name: str) -> float:
    """Maps a scene; returns our speed / the bare one."""
    from ben_tf import bigearthnet
    from ben_tf.predict import scene
    from tfrecords_builder import sample_scene

    model = _model(folder, name)
    made = sample_scene.make_sample_scene(
        folder / "scene", num_windows=_NUM_WINDOWS.value
    )
    count = _NUM_WINDOWS.value**2
    # A row of windows is predicted at once.
    size = _NUM_WINDOWS.value
    random = np.random.default_rng(0)
    inputs = {
        grid: random.integers(
            0, 3000, (size, *bigearthnet.GRIDS[grid].shape)
        ).astype(bigearthnet.GRIDS[grid].dtype)
        for grid in model.input_names
    }

    def bare() -> None:
        for _ in range(count // size):
            model.serve(inputs).numpy()

    def ours() -> None:
        scene.predict_scene(
            model,
            s2_scene=made.s2_folder,
            s1_scene=made.s1_file,
            output=folder / "map.tif",
            batch_size=size,
        )

    return _compare(f"{name}, scene", ours, bare, count)


def _model(folder: pathlib.Path, name: str) -> "saved_model.ServedModel":
    from ben_tf import models
    from ben_tf import saved_model

    if not (folder / name).exists():
        saved_model.save(
            models.make_model(name),
            folder / name,
            preprocessing=models.preprocessing_of(name),
            name=name,
            trained_on_synthetic=True,
        )
    return saved_model.load(folder / name)


def _compare(
    what: str,
    ours: Callable[[], None],
    bare: Callable[[], None],
    count: int,
) -> float:
    seconds, bare_seconds = turns.compare(ours, bare, rounds=_ROUNDS.value)
    print(
        f"{what}: {count / seconds:.0f} patches/s, "
        f"{count / bare_seconds:.0f} by the bare model"
    )
    return bare_seconds / seconds


if __name__ == "__main__":
    app.run(main)
