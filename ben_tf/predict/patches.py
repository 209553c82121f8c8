"""Predicts patches: folders, an archive or a split of a dataset.

A broken patch is reported and left out; the others are predicted.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tqdm

from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model as saved_models
from ben_tf.archive import layout
from ben_tf.archive import patch_files
from ben_tf.cluster import runners
from ben_tf.data import built_dataset
from ben_tf.predict import cluster_patches
from ben_tf.predict import origin
from ben_tf.predict import output_files
from ben_tf.predict import patch_batches
from ben_tf.predict import stac

# Which patches, and their probabilities, (B, classes) float32.
_Predicted = Iterator[tuple[output_files.Patches, np.ndarray]]


class Predicted(NamedTuple):
    """What was predicted.

    Attributes:
      num_patches: Number of patches.
      faults: What is wrong with each of the others.
      tags: From `origin.of`.
    """

    num_patches: int
    faults: list[str]
    tags: dict[str, str]


def predict(
    *,
    saved_model: str | os.PathLike,
    output: str | os.PathLike,
    input_paths: Sequence[str] = (),
    data_dir: str | os.PathLike | None = None,
    split: str = "test",
    batch_size: int = 128,
    stac_request: stac.Request | None = None,
    beam_runner: str | None = None,
    beam_pipeline_options: str | None = None,
) -> Predicted:
    """Predicts patches and writes a table or a map of footprints.

    Args:
      saved_model: Folder of the exported model.
      output: File ending with .csv, .parquet or .geojson.
      input_paths: The folder of a patch, the two folders of a pair, or the
        folder of an archive; empty to predict a dataset.
      data_dir: Folder of the TFDS dataset; None to predict `input_paths`.
      split: Split of the dataset.
      batch_size: Patches predicted at once.
      stac_request: Writes X.stac.json as well, see `stac`.
      beam_runner: Name of a runner of Apache Beam: workers predict an archive
        or a dataset, and find them, the model and the folder of `output` under
        the same names. Finished tasks lie in OUTPUT.tasks until all are.
      beam_pipeline_options: Options of Beam: "name=value,name=value".

    Returns:
      What was predicted.

    Raises:
      UserError: No model or input there, an unknown kind of output, or every
        single patch is broken; or the cluster fails.
    """
    if not input_paths and data_dir is None:
        raise errors.UserError(
            "There is nothing to predict. Expected folders of patches in "
            "`input_paths`, or a dataset in `data_dir`."
        )
    is_archive = len(input_paths) == 1 and patch_files.is_archive(
        input_paths[0]
    )
    files.check_writable(output)
    if stac_request:
        stac.check(output)
    cluster = runners.choose(beam_runner, beam_pipeline_options)
    if cluster and data_dir is None and not is_archive:
        raise errors.UserError(
            "A cluster is for many patches. Expected an archive in `input` or "
            "a dataset in `data_dir` with `beam_runner`."
        )
    model = saved_models.load(saved_model)
    builder = None
    if data_dir is not None:
        builder = built_dataset.open_dataset(data_dir)
    tags = origin.of(
        model,
        of_synthetic=built_dataset.is_synthetic(builder)
        if builder
        else _lie_in_synthetic_archive(input_paths),
    )
    faults: list[str] = []
    sources = input_paths if data_dir is None else [data_dir]
    extent = stac.Extent()
    with contextlib.ExitStack() as stack:
        write = stack.enter_context(
            output_files.open_writer(output, model.class_names, tags)
        )
        predicted: _Predicted
        if cluster:
            total, predicted = stack.enter_context(
                cluster_patches.predict(
                    cluster,
                    model,
                    saved_model=saved_model,
                    builder=builder,
                    split=split,
                    archive_dir="" if builder else input_paths[0],
                    batch_size=batch_size,
                    output=output,
                    faults=faults,
                )
            )
        else:
            if builder:
                total = built_dataset.num_examples(builder, split)
                batches = patch_batches.of_dataset(
                    builder, split, model, batch_size
                )
            else:
                total, items = _items(
                    input_paths,
                    model,
                    scratch_dir=stack.enter_context(files.scratch_folder()),
                )
                batches = patch_batches.of_items(
                    items, model, batch_size, faults
                )
            predicted = (
                (patches, model.serve(inputs).numpy())
                for inputs, patches in batches
            )
        with tqdm.tqdm(total=total, unit="patch", desc="predict") as progress:
            for patches, probabilities in predicted:
                extent.add(patches)
                if stac_request:
                    # Raises with the first patches rather than after the last.
                    made_of = stac_request.origin(sources, extent.times)
                write(patches, probabilities)
                progress.update(len(patches.names))
        if faults and not extent.num_patches:
            raise errors.UserError(
                f"None of the {len(faults)} patches could be read. The first: "
                f"{faults[0]}"
            )
    if stac_request and extent.num_patches:
        stac.write_table_item(
            pathlib.Path(output),
            extent,
            model=model,
            tags=tags,
            origin=made_of,
        )
    return Predicted(extent.num_patches, faults, tags)


def _items(
    input_paths: Sequence[str],
    model: saved_models.ServedModel,
    *,
    scratch_dir: str | os.PathLike,
) -> tuple[int, Iterator[patch_files.Item]]:
    """The number of patches, and each of them."""
    if len(input_paths) == 1 and patch_files.is_archive(input_paths[0]):
        return patch_files.from_archive(
            input_paths[0], model.input_names, scratch_dir=scratch_dir
        )
    return 1, iter([patch_files.from_folders(input_paths, model.input_names)])


def _lie_in_synthetic_archive(input_paths: Sequence[str]) -> bool:
    """Whether an archive around the patches says that it is synthetic."""
    return any(
        layout.is_synthetic(folder)
        for path in map(pathlib.Path, input_paths)
        # A patch lies at most three folders deep in an archive.
        for folder in (path, *path.resolve().parents[:3])
    )
