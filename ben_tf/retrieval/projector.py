"""Embeddings of an index as TensorBoard's Embedding Projector reads them.

The formats are those of `tensorboard.plugins.projector` and its page: tables
with tabs, and one image with a small picture of each patch, row after row.
"""

import math
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tqdm
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector
from tensorboard.plugins.projector import metadata

from ben_tf import errors
from ben_tf import files
from ben_tf.data import run_data
from ben_tf.plots import pictures
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_source

# The page refuses larger images.
_MOST_PIXELS = 8192
# Larger than the page shows them at first, small enough to load quickly.
_LARGEST_PICTURE = 64
_UNKNOWN = "?"
_EMBEDDINGS = "embeddings.tsv"
_METADATA = "metadata.tsv"
_SPRITE = "sprite.png"
_FILES = {metadata.PROJECTOR_FILENAME, _EMBEDDINGS, _METADATA, _SPRITE}
_NOT_IN_ADDRESSES = re.compile(r"[^A-Za-z0-9_.-]")


class Written(NamedTuple):
    """What was written.

    Attributes:
      num_shown: Patches in the folder.
      num_patches: Patches in the index.
    """

    num_shown: int
    num_patches: int


def write(
    *,
    index: str | os.PathLike,
    output_dir: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    num_patches: int = 10_000,
) -> Written:
    """Writes a folder that `tensorboard --logdir` opens.

    It holds projector_config.pbtxt, embeddings.tsv, metadata.tsv and
    sprite.png. Embeddings are text, although TensorBoard can read bytes: it
    tries to read those as text first, and fails where they begin like text.

    Args:
      index: Index folder.
      output_dir: The folder to write; one that this has written is replaced.
      data_dir: Folder of the TFDS dataset, where the pixels are; None: the one
        that the model of the index was trained on.
      num_patches: How many patches to show at most, evenly spaced among the
        rows of the index; the page asks for the first 100,000.

    Returns:
      How many patches it shows, of how many.

    Raises:
      UserError: No index or dataset there, or one of other records; or
        `output_dir` holds something else.
    """
    output_dir = pathlib.Path(output_dir)
    _check_replaceable(output_dir)
    files.check_writable(output_dir.absolute().parent, is_folder=True)
    opened = index_lib.Index.open(index)
    data_dir = run_data.of_model(opened.manifest.saved_model, data_dir)
    rows = opened.evenly_spaced(num_patches)
    sprite = _sprite(opened, rows, data_dir)
    size = _picture_size(len(rows))
    config = projector.ProjectorConfig()
    entry = config.embeddings.add()
    entry.tensor_name = _title(opened)
    entry.tensor_path = _EMBEDDINGS
    entry.metadata_path = _METADATA
    entry.sprite.image_path = _SPRITE
    entry.sprite.single_image_dim.extend([size, size])
    with files.replacing_folder(output_dir) as part:
        part.mkdir()
        np.savetxt(
            part / _EMBEDDINGS,
            opened.embeddings[rows],
            fmt="%.9g",
            delimiter="\t",
        )
        (part / _METADATA).write_text(
            "".join(f"{line}\n" for line in _table(opened, rows)),
            encoding="utf-8",
            newline="\n",
        )
        sprite.save(part / _SPRITE)
        (part / metadata.PROJECTOR_FILENAME).write_text(
            text_format.MessageToString(config), encoding="utf-8"
        )
    return Written(num_shown=len(rows), num_patches=len(opened.names))


def _check_replaceable(folder: pathlib.Path) -> None:
    """Refuses a folder, such as one of logs, that would be lost."""
    if folder.is_dir():
        others = {path.name for path in folder.iterdir()} - _FILES
    else:
        others = {folder.name} if folder.exists() else set()
    if others:
        raise errors.UserError(
            f"{folder} exists and holds something else: {min(others)}. "
            "Expected a new or an empty folder, or an earlier one of these to "
            "replace. Choose another `output_dir`."
        )


def _title(opened: index_lib.Index) -> str:
    """What the page calls the embeddings.

    It puts the name into addresses as it is.
    """
    manifest = opened.manifest
    parts = [
        opened.path.resolve().name,
        manifest.modality,
        *(["SYNTHETIC"] if manifest.synthetic else []),
    ]
    return _NOT_IN_ADDRESSES.sub("_", "_".join(parts))


def _table(opened: index_lib.Index, rows: np.ndarray) -> Iterator[str]:
    """The lines of the metadata, a title first.

    The page colours by columns of few values, thus one for each class.
    """
    class_names = opened.manifest.class_names
    columns = ["name", "country", "season", "split", "date", "labels"]
    yield "\t".join(map(_cell, (*columns, *class_names)))
    for patch, labels in zip(
        opened.describe(rows), opened.labels[rows], strict=True
    ):
        cells = (
            patch.name,
            patch.country or _UNKNOWN,
            patch.season or _UNKNOWN,
            patch.split or _UNKNOWN,
            str(patch.date or _UNKNOWN),
            "; ".join(patch.labels or ()),
            *("yes" if label else "no" for label in labels),
        )
        yield "\t".join(map(_cell, cells))


def _cell(text: str) -> str:
    """Text without what would end a cell or a line."""
    return files.csv_cell(" ".join(text.split()))


def _picture_size(num_patches: int) -> int:
    """Width and height of each picture, pixels."""
    return min(_LARGEST_PICTURE, _MOST_PIXELS // _pictures_a_row(num_patches))


def _pictures_a_row(num_patches: int) -> int:
    return math.ceil(math.sqrt(num_patches))


def _sprite(
    opened: index_lib.Index, rows: np.ndarray, data_dir: str | os.PathLike
) -> Image.Image:
    """One image with a picture of each row, in their order.

    Radar where the embeddings have seen nothing else, true colour otherwise.
    """
    optical, radar = pictures.BOTH_SENSORS
    shown = radar if opened.manifest.modality == "S1" else optical
    names = opened.names[rows].tolist()
    places = {name: place for place, name in enumerate(names)}
    size, width = _picture_size(len(rows)), _pictures_a_row(len(rows))
    height = math.ceil(len(rows) / width)
    sprite = Image.new("RGB", (width * size, height * size))
    for found in tqdm.tqdm(
        patch_source.each(
            data_dir,
            names,
            grids=pictures.grids_of(shown),
            records=opened.manifest.records,
        ),
        total=len(names),
        desc="pictures",
        unit="patch",
    ):
        picture = Image.fromarray(pictures.render(found.grids, shown))
        row, column = divmod(places[found.patch.name], width)
        sprite.paste(
            picture.resize((size, size), Image.Resampling.BOX),
            (column * size, row * size),
        )
    return sprite
