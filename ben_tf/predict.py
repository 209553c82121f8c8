r"""Labels for new images: patches, an archive, a split, or a whole scene.

    python -m ben_tf.predict --saved_model=... --output=labels.csv \
        --input=S2_PATCH_FOLDER,S1_PATCH_FOLDER
    ... --input=ARCHIVE_FOLDER --output=labels.geojson
    ... --data_dir=... --split=test --output=labels.parquet
    ... --s2_scene=X.SAFE --s1_scene=vv_vh_db.tif --output=map.tif

A model of one sensor takes only that sensor. A broken patch is reported and
left out; the others are predicted.
"""

import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from absl import flags

from ben_tf import bigearthnet
from ben_tf import command_line

_NUM_FAULTS_SHOWN = 20


def predict(
    *,
    saved_model: str | os.PathLike,
    output: str | os.PathLike,
    input_paths: Sequence[str] = (),
    data_dir: str | os.PathLike | None = None,
    split: str = "test",
    batch_size: int = 128,
) -> tuple[int, list[str]]:
    """Predicts patches and writes a table or a map of footprints.

    Args:
      saved_model: Folder of the exported model.
      output: File ending with .csv, .parquet or .geojson.
      input_paths: Folders of one patch or pair, or one archive folder; or
      data_dir: folder with a dataset, whose
      split: is predicted.
      batch_size: Patches at a time.

    Returns:
      Number of predicted patches, and what is wrong with each of the others.

    Raises:
      UserError: No model or input there, an unknown kind of output, or every
        single patch is broken.
    """
    import tqdm

    from ben_tf import prediction_files
    from ben_tf import saved_model as saved_models

    model = saved_models.load(saved_model)
    faults: list[str] = []
    num_patches = 0
    with (
        prediction_files.open_writer(output, model.class_names) as write,
        tempfile.TemporaryDirectory() as scratch_dir,
    ):
        if input_paths:
            total, batches = _from_files(
                input_paths, model.input_names, batch_size, faults, scratch_dir
            )
        else:
            total, batches = _from_dataset(data_dir, split, model, batch_size)
        with tqdm.tqdm(total=total, unit="patch", desc="predict") as progress:
            for names, inputs, epsg, upper_left in batches:
                probabilities = model.serve(inputs).numpy()
                write(names, probabilities, epsg, upper_left)
                num_patches += len(names)
                progress.update(len(names))
        if faults and not num_patches:
            raise command_line.UserError(
                f"None of the {len(faults)} patches could be read. The first: "
                f"{faults[0]}"
            )
    return num_patches, faults


def _from_files(paths, grids, batch_size, faults, scratch_dir):
    """Number of patches, if known, and batches; adds to `faults`."""
    from ben_tf import patch_files

    total: int | None = 1
    if len(paths) == 1 and patch_files.is_archive(paths[0]):
        total = patch_files.count(paths[0], grids)
        items = patch_files.from_archive(
            paths[0], grids, scratch_dir=scratch_dir
        )
    else:
        items = patch_files.from_folders(list(paths), grids)
    return total, _batches(items, batch_size, faults)


def _batches(items, batch_size: int, faults: list[str]) -> Iterator[tuple]:
    import numpy as np

    patches: list = []

    def stacked():
        return (
            [patch.name for patch in patches],
            {
                name: np.stack([patch.grids[name] for patch in patches])
                for name in patches[0].grids
            },
            np.array([patch.epsg for patch in patches]),
            np.array([patch.upper_left for patch in patches], np.float64),
        )

    for item in items:
        if isinstance(item, Exception):
            faults.append(str(item))
            continue
        patches.append(item)
        if len(patches) == batch_size:
            yield stacked()
            patches = []
    if patches:
        yield stacked()


def _from_dataset(data_dir, split, model, batch_size):
    from ben_tf import input_pipeline

    builder = input_pipeline.open_dataset(data_dir)
    total = input_pipeline.num_examples(builder, split)
    batches = input_pipeline.native_batches(
        builder,
        split,
        grids=model.input_names,
        batch_size=batch_size,
        metadata=("patch_name", "epsg", "upper_left"),
    )
    return total, (
        (
            [name.decode() for name in batch["patch_name"].numpy()],
            batch["inputs"],
            batch["epsg"].numpy(),
            batch["upper_left"].numpy(),
        )
        for batch in batches
    )


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    saved_model = flags.DEFINE_string(
        "saved_model",
        None,
        "Folder of the exported model, such as WORKDIR/saved_model.",
        required=True,
    )
    output = flags.DEFINE_string(
        "output",
        None,
        "File to write. Patches: .csv, .parquet or .geojson. A scene: .tif.",
        required=True,
    )
    inputs = flags.DEFINE_list(
        "input",
        [],
        "The folder of a patch (of a pair: both, with a comma between them), "
        "or the folder of an archive.",
    )
    data_dir = flags.DEFINE_string(
        "data_dir", None, "Folder with TFRecords, to predict --split of them."
    )
    split = flags.DEFINE_string("split", "test", "Split of --data_dir.")
    s2_scene = flags.DEFINE_string(
        "s2_scene",
        None,
        "A whole Sentinel-2 scene: a Level-2A SAFE folder, or a folder with a "
        "GeoTIFF or JPEG 2000 file for each band.",
    )
    s1_scene = flags.DEFINE_string(
        "s1_scene",
        None,
        "A whole Sentinel-1 scene: a terrain-corrected GeoTIFF with VV and VH "
        "in dB.",
    )
    stride_m = flags.DEFINE_integer(
        "stride_m",
        bigearthnet.PATCH_SIZE_M,
        "Metres between the windows of a scene, a multiple of 60. Below 1200 "
        "windows overlap and the map is finer.",
    )
    batch_size = flags.DEFINE_integer(
        "batch_size", 128, "Patches at a time.", lower_bound=1
    )
    flags.adopt_module_key_flags(command_line)

    def main() -> None:
        is_scene = bool(s2_scene.value or s1_scene.value)
        chosen = [bool(inputs.value), bool(data_dir.value), is_scene]
        if sum(chosen) != 1:
            raise command_line.UserError(
                "Expected one thing to predict: --input, or --data_dir, or "
                "--s2_scene and --s1_scene."
            )
        if is_scene:
            from ben_tf import saved_model as saved_models
            from ben_tf import scene

            if pathlib.Path(output.value).suffix not in (".tif", ".tiff"):
                raise command_line.UserError(
                    "A scene becomes a map. Expected --output to end with "
                    f".tif. Received: {output.value}"
                )
            path = scene.predict_scene(
                saved_models.load(saved_model.value),
                s2_scene=s2_scene.value,
                s1_scene=s1_scene.value,
                output=output.value,
                stride_m=stride_m.value,
                batch_size=batch_size.value,
            )
            print(f"The map is {path}")
            return
        num_patches, faults = predict(
            saved_model=saved_model.value,
            output=output.value,
            input_paths=inputs.value,
            data_dir=data_dir.value,
            split=split.value,
            batch_size=batch_size.value,
        )
        for fault in faults[:_NUM_FAULTS_SHOWN]:
            print(f"left out: {fault}", file=sys.stderr)
        if len(faults) > _NUM_FAULTS_SHOWN:
            print(
                f"left out: {len(faults) - _NUM_FAULTS_SHOWN:,} more",
                file=sys.stderr,
            )
        print(
            f"Predicted {num_patches:,} patches, left out {len(faults):,}; "
            f"the labels are in {output.value}"
        )

    return main


if __name__ == "__main__":
    command_line.run(command, uses_tensorflow=True)
