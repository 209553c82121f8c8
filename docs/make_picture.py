"""Draws docs/images/overview.jpg, the picture at the top of README.md.

    make quickstart
    .venv/bin/python docs/make_picture.py --quickstart_dir=quickstart

Above: the real pairs of the sample archive. Below: a synthetic query with the
patches that the folder's index finds, labelled as synthetic. A folder laid out
like the quickstart's does as well: archive, data, run/index.
"""

import io
import pathlib
import textwrap

import numpy as np
import tensorflow_datasets as tfds
from absl import app
from absl import flags
from matplotlib import figure

from ben_tf import bigearthnet
from ben_tf.archive import layout
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.plots import pictures
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_source

_QUICKSTART_DIR = flags.DEFINE_string(
    "quickstart_dir", "quickstart", "What make quickstart wrote."
)
_OUTPUT = flags.DEFINE_string(
    "output", "docs/images/overview.jpg", "The picture to write."
)

_OPTICAL = "True colour"
_RADAR = "Radar: VV, VH, VV - VH"
_NUM_COLUMNS = 6
_MAX_BYTES = 150_000


def _real_names(archive_dir: pathlib.Path) -> list[str]:
    text = (archive_dir / layout.SYNTHETIC_MARKER).read_text()
    return text.partition("real pairs:")[2].split()[:_NUM_COLUMNS]


def _labels_of(
    builder: tfds.core.DatasetBuilder, names: list[str]
) -> dict[str, list[str]]:
    found = {}
    for split in builder.info.splits:
        for batch in input_pipeline.native_batches(
            builder, split, grids=("s2_60m",), metadata=("patch_name",)
        ):
            for name, row in zip(
                batch["patch_name"].numpy(),
                batch["labels"].numpy(),
                strict=True,
            ):
                if name.decode() in names:
                    found[name.decode()] = [
                        bigearthnet.CLASSES_19[i] for i in np.flatnonzero(row)
                    ]
    return found


def _caption(labels: list[str]) -> str:
    short = [label.split(",")[0] for label in labels[:2]]
    more = f" (+{len(labels) - 2})" if len(labels) > 2 else ""
    return textwrap.fill("; ".join(short) + more, 28)


def _panels() -> tuple[figure.Figure, np.ndarray]:
    """Returns squares in three rows, with captions below two of them."""
    side, gap, left = 1.42, 0.06, 0.28  # Inches.
    bottoms = [0.36, 0.36 + side + 0.64, 0.36 + 2 * side + 0.64 + gap]
    width = left + _NUM_COLUMNS * (side + gap)
    height = bottoms[-1] + side + gap
    drawing = figure.Figure(figsize=(width, height))
    axes = [
        [
            drawing.add_axes(
                (
                    (left + column * (side + gap)) / width,
                    bottom / height,
                    side / width,
                    side / height,
                )
            )
            for column in range(_NUM_COLUMNS)
        ]
        for bottom in reversed(bottoms)
    ]
    return drawing, np.array(axes)


def draw(quickstart_dir: pathlib.Path) -> bytes:
    """Returns the picture as a JPEG file."""
    data_dir = quickstart_dir / "data"
    index = index_lib.Index.open(quickstart_dir / "run" / "index")
    real = _real_names(quickstart_dir / "archive")
    query = str(index.names[0])
    hits = index.search(
        index.embeddings[:1],
        k=_NUM_COLUMNS - 1,
        fingerprint=index.manifest.fingerprint,
        exclude=[query],
    )
    found = [str(name) for name in hits.names[0]]
    pixels = {
        name: patch
        for name, patch in patch_source.from_dataset(
            data_dir, [*real, query, *found], grids=("s1", "s2_10m")
        ).items()
    }
    labels = _labels_of(
        built_dataset.open_dataset(data_dir), [*real, query, *found]
    )
    drawing, axes = _panels()
    for column, name in enumerate(real):
        for row, picture in enumerate((_OPTICAL, _RADAR)):
            axes[row, column].imshow(pictures.render(pixels[name], picture))
        axes[1, column].set_xlabel(_caption(labels[name]), fontsize=6.3)
    for column, name in enumerate([query, *found]):
        axes[2, column].imshow(pictures.render(pixels[name], _OPTICAL))
        axes[2, column].set_xlabel(_caption(labels[name]), fontsize=6.3)
        title = "query" if column == 0 else f"hit {column}"
        axes[2, column].set_title(title, fontsize=8)
    for row, title in enumerate(
        ("Sentinel-2, real", "Sentinel-1, real", "look-alikes, SYNTHETIC")
    ):
        axes[row, 0].set_ylabel(title, fontsize=8)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for quality in range(90, 30, -5):
        file = io.BytesIO()
        drawing.savefig(
            file, format="jpg", dpi=110, pil_kwargs={"quality": quality}
        )
        if len(file.getvalue()) < _MAX_BYTES:
            return file.getvalue()
    raise ValueError(f"The picture takes more than {_MAX_BYTES} bytes.")


def main(argv: list[str]) -> None:
    """Writes the picture."""
    del argv
    path = pathlib.Path(_OUTPUT.value)
    path.write_bytes(draw(pathlib.Path(_QUICKSTART_DIR.value)))
    print(f"The picture is {path}")


if __name__ == "__main__":
    app.run(main)
