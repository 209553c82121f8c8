"""Where a query comes from: the dataset, folders of an archive, an image."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_files
from ben_tf.archive import patch_json
from ben_tf.archive import patch_metadata
from ben_tf.archive import patch_sources
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import patch_reader
from ben_tf.data import patch_table
from ben_tf.retrieval import patch_facts
from ben_tf.scenes import acquisition
from ben_tf.scenes import layers

Grids = dict[str, np.ndarray]

_NAMES_SHOWN = 3
_PATCHES_AT_ONCE = 64
_METADATA = (
    *("patch_name", "epsg", "upper_left"),
    *("country", "season", "s2_time"),
)


class Found(NamedTuple):
    """A patch with its pixels.

    Attributes:
      patch: What else is known of it.
      grids: Arrays (size, size, bands) by name of grid.
    """

    patch: patch_facts.Patch
    grids: Grids


def from_dataset(
    data_dir: str | os.PathLike,
    names: Sequence[str],
    *,
    grids: Sequence[str],
    records: str = "",
) -> dict[str, Grids]:
    """Finds the pixels of patches by name; see `each`.

    Returns:
      Name -> arrays (size, size, bands) by name of grid.
    """
    found = find(data_dir, names, grids=grids, records=records)
    return {name: patch.grids for name, patch in found.items()}


def find(
    data_dir: str | os.PathLike,
    names: Sequence[str],
    *,
    grids: Sequence[str],
    num_classes: int = 19,
    records: str = "",
) -> dict[str, Found]:
    """Finds patches by name; as `each`, all at once.

    Returns:
      Name -> patch.
    """
    found = each(
        data_dir, names, grids=grids, num_classes=num_classes, records=records
    )
    return {one.patch.name: one for one in found}


def each(
    data_dir: str | os.PathLike,
    names: Sequence[str],
    *,
    grids: Sequence[str],
    num_classes: int = 19,
    records: str = "",
) -> Iterator[Found]:
    """Yields patches by name, in any order, and keeps a batch of them.

    Reads their records alone, or, in a dataset without a table of patches, all
    records up to the last one that is wanted.

    Args:
      data_dir: Folder of the TFDS dataset.
      names: Names of S2 patches.
      grids: Which arrays to read, keys of `bigearthnet.GRIDS`.
      num_classes: Nomenclature of the labels, 19 or 43; 19 where the dataset
        has no other.
      records: Fingerprint that the dataset must have, that of what the names
        come from; "" for any.

    Raises:
      UserError: No dataset there, or a name is in none of the splits, or it
        holds other records.
    """
    builder = built_dataset.open_dataset(data_dir)
    if records:
        built_dataset.check_records(builder, records)
    built_dataset.check_grids(builder, grids)
    if num_classes not in built_dataset.nomenclatures(builder):
        num_classes = 19
    missing = set(names)
    num_wanted = len(missing)
    for batch in _batches(builder, sorted(missing), grids, num_classes):
        found = _found_in(batch, missing, bigearthnet.CLASSES[num_classes])
        missing -= found.keys()
        yield from found.values()
        if not missing:
            break
    if missing:
        shown = sorted(missing)[:_NAMES_SHOWN]
        raise errors.UserError(
            f"{len(missing)} of {num_wanted} patches are not in the dataset "
            f"in {data_dir}: {', '.join(shown)}. Expected names of S2 patches "
            "such as S2A_MSIL2A_20170613T101031_0_45. Correct the names or "
            "`data_dir`."
        )


def _batches(
    builder: tfds.core.DatasetBuilder,
    names: Sequence[str],
    grids: Sequence[str],
    num_classes: int,
) -> Iterator[dict[str, Any]]:
    """Batches that hold these patches, if the dataset does."""
    if patch_table.exists(builder):
        reader = patch_reader.PatchReader(builder)
        known = list(itertools.compress(names, reader.has(names)))
        for start in range(0, len(known), _PATCHES_AT_ONCE):
            yield reader.read(
                known[start : start + _PATCHES_AT_ONCE],
                grids=grids,
                num_classes=num_classes,
                metadata=_METADATA,
            )
        return
    for split, info in builder.info.splits.items():
        if info.num_examples:
            yield from input_pipeline.read_batches(
                builder,
                split,
                desc=f"looking for patches in {split}",
                grids=grids,
                num_classes=num_classes,
                metadata=_METADATA,
            )


def _found_in(
    batch: Mapping[str, Any], wanted: set[str], class_names: Sequence[str]
) -> dict[str, Found]:
    """What is wanted of a batch."""
    names = [name.decode() for name in batch["patch_name"].numpy()]
    rows = [row for row, name in enumerate(names) if name in wanted]
    patches = patch_facts.Patches(
        names=np.array(names),
        labels=batch["labels"].numpy(),
        epsg=batch["epsg"].numpy(),
        upper_left=batch["upper_left"].numpy(),
        countries=batch["country"].numpy().astype(np.uint8),
        seasons=batch["season"].numpy().astype(np.uint8),
        days=patch_facts.days_of_times(batch["s2_time"].numpy()),
        split_numbers=np.full(len(names), patch_facts.UNKNOWN, np.uint8),
    ).rows(np.array(rows, int), class_names=class_names, split_names=())
    return {
        patch.name: Found(
            patch,
            # A view would keep the whole batch in memory.
            {
                name: values[row].numpy().copy()
                for name, values in batch["inputs"].items()
            },
        )
        for row, patch in zip(rows, patches, strict=True)
    }


def from_folders(
    *,
    s1_folder: str | os.PathLike | None,
    s2_folder: str | os.PathLike | None,
    grids: Sequence[str],
    num_classes: int = 19,
) -> Found:
    """Reads a patch from the folders of the extracted archive.

    In v1.0 its labels stand in its JSON file, and its country, season and split
    on the official lists, which take seconds to read; all are unknown where
    there is no such file, as in v2.0.

    Args:
      s1_folder: Folder of the S1 patch; None if `grids` has no S1.
      s2_folder: Folder of the S2 patch; None if `grids` has no S2.
      grids: Which arrays to read, keys of `bigearthnet.GRIDS`.
      num_classes: Nomenclature of the labels, 19 or 43.

    Returns:
      The patch, values of its pixels as in the files.

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
    described = _unlabelled(patch.name, *patch.footprint)
    known: dict[str, Any] = {}
    if json := _read_json(pathlib.Path(s2_folder or s1_folder or "")):
        known["labels"] = json.labels
        if num_classes == len(bigearthnet.CLASSES_19):
            known["labels"] = bigearthnet.labels_43_to_19(json.labels)
        s2_name = json.s2_name or patch.name
        if official := official_lists.official_patches().get(s2_name):
            known["country"] = official.country
            known["season"] = official.season
            known["split"] = official.split
    return Found(dataclasses.replace(described, **known), patch.grids)


def from_scene(
    grids: Sequence[str],
    *,
    point: tuple[float, float] | None = None,
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
    image_paths: Sequence[str | os.PathLike] = (),
    hints: layers.Hints = layers.NO_HINTS,
) -> Found:
    """Reads a patch out of a scene or an image.

    Args:
      grids: Which arrays to read, keys of `bigearthnet.GRIDS`.
      point: Longitude and latitude, degrees, that it lies around; None: the
        middle of the scene.
      s2_scene: Products and band files; see `ben_tf.scenes.s2_product`.
      s1_scene: A GeoTIFF; see `ben_tf.scenes.s1_layer`.
      image_paths: Instead of both: GeoTIFFs; see `ben_tf.scenes.multiband`.
      hints: What the files do not say themselves.

    Returns:
      The patch, called as the first of the files. Nobody knows its labels.

    Raises:
      UserError: A file cannot be read, lacks a band or data, or does not cover
        the point; or its coordinate system has no EPSG code.
    """
    scene: Mapping[str, Any] = {
        "s2_scene": s2_scene,
        "s1_scene": s1_scene,
        "image_paths": image_paths,
    }
    patch = layers.read_window(grids, point=point, hints=hints, **scene)
    first = next(x for x in (s2_scene, s1_scene, *image_paths) if x)
    path = pathlib.Path(first)
    epsg = patch.crs.to_epsg()
    if epsg is None:
        raise errors.UserError(
            f"The coordinate system of {path} has no EPSG code, so that the "
            "answer could not say where the query lies. Reproject the image to "
            "UTM with gdalwarp."
        )
    described = _unlabelled(path.stem, epsg, patch.upper_left)
    if times := acquisition.times_of(**scene):
        described = dataclasses.replace(described, date=times[0].date())
    return Found(described, dict(patch.grids))


def _unlabelled(
    name: str, epsg: int, upper_left: tuple[float, float]
) -> patch_facts.Patch:
    """What is known of a patch from its place."""
    facts = {
        **patch_facts.unknown(1),
        "names": np.array([name]),
        "labels": np.zeros((1, 0), np.uint8),
        "epsg": np.array([epsg]),
        "upper_left": np.array([upper_left], np.float64),
        "days": patch_facts.days_in_names([name]),
    }
    (described,) = patch_facts.Patches(**facts).rows(
        np.arange(1), class_names=(), split_names=()
    )
    return dataclasses.replace(described, labels=None)


def _read_json(folder: pathlib.Path) -> patch_json.PatchJson | None:
    """The JSON file of a patch; None if there is none.

    Raises:
      errors.ArchiveError: It is damaged.
    """
    folder = folder.resolve()
    if not (folder / layout.json_name(folder.name)).exists():
        return None
    return patch_metadata.read_json(
        patch_sources.FolderSource(folder.parent), folder.name[:2], folder.name
    )
