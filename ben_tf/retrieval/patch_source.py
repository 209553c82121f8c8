"""Where a query's pixels come from: the dataset, or folders of an archive."""

import os
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import patch_files
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline

Grids = dict[str, np.ndarray]

_NAMES_SHOWN = 3


def from_dataset(
    data_dir: str | os.PathLike,
    names: Sequence[str],
    *,
    grids: Sequence[str],
    splits: Sequence[str] | None = None,
) -> dict[str, Grids]:
    """Finds patches by name. Reads the splits one after the other.

    Args:
      data_dir: Folder of the TFDS dataset.
      names: Names of S2 patches.
      grids: Which arrays to read, keys of `bigearthnet.GRIDS`.
      splits: Splits to look into, or None for all.

    Returns:
      Name -> arrays (size, size, bands) by name of grid.

    Raises:
      UserError: No dataset there, or a name is in none of the splits.
    """
    builder = built_dataset.open_dataset(data_dir)
    wanted = set(names)
    found: dict[str, Grids] = {}
    sizes = {n: info.num_examples for n, info in builder.info.splits.items()}
    for split in splits or sizes:
        if sizes.get(split) == 0 or len(found) == len(wanted):
            continue
        for name, views in _patches(builder, split, grids):
            if name in wanted:
                # A view would keep the whole batch in memory.
                found[name] = {
                    grid: view.copy() for grid, view in views.items()
                }
            if len(found) == len(wanted):
                break
    missing = sorted(wanted - set(found))
    if missing:
        raise errors.UserError(
            f"{len(missing)} of {len(wanted)} patches are not in the dataset "
            f"in {data_dir}: {', '.join(missing[:_NAMES_SHOWN])}. Expected "
            "names of S2 patches such as "
            "S2A_MSIL2A_20170613T101031_0_45. Correct the names or `data_dir`."
        )
    return found


def _patches(
    builder: tfds.core.DatasetBuilder, split: str, grids: Sequence[str]
) -> Iterator[tuple[str, Grids]]:
    """Names and pixels of a split's patches, with a progress bar."""
    batches = input_pipeline.read_batches(
        builder,
        split,
        desc=f"looking for patches in {split}",
        grids=grids,
        metadata=("patch_name",),
    )
    for batch in batches:
        inputs = {name: batch["inputs"][name].numpy() for name in grids}
        for row, name in enumerate(batch["patch_name"].numpy()):
            yield name.decode(), {g: inputs[g][row] for g in grids}


def from_folders(
    *,
    s1_folder: str | os.PathLike | None,
    s2_folder: str | os.PathLike | None,
    grids: Sequence[str],
) -> Grids:
    """Reads a patch from the folders of the extracted archive.

    Args:
      s1_folder: Folder of the S1 patch; None if `grids` has no S1.
      s2_folder: Folder of the S2 patch; None if `grids` has no S2.
      grids: Which arrays to read, keys of `bigearthnet.GRIDS`.

    Returns:
      Arrays (size, size, bands) by name of grid, values as in the files.

    Raises:
      UserError: A folder or a file is missing, or a file is damaged, or the
        two patches do not cover the same ground.
    """
    for sensor, folder in (("S1", s1_folder), ("S2", s2_folder)):
        needed = any(bigearthnet.GRIDS[name].sensor == sensor for name in grids)
        if needed and not folder:
            raise errors.UserError(
                f"The model looks at {sensor}. Expected the folder of the "
                f"{sensor} patch: add `{sensor.lower()}_folder`."
            )
    paths = [os.fspath(path) for path in (s1_folder, s2_folder) if path]
    patch = patch_files.from_folders(paths, grids)
    if isinstance(patch, errors.UserError):
        raise patch
    return patch.grids
