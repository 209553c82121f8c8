"""The card of an exported model, as Hugging Face reads it."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import ben_tf
from ben_tf import bigearthnet
from ben_tf.cards import description as description_lib
from ben_tf.cards import templates

# In the folder of the export, which others upload as it is.
FILE_NAME = "README.md"
_LIBRARIES = {"saved_model": "tensorflow", "onnx": "onnx", "tflite": "tflite"}
SENSORS = {
    "S1": ["sentinel-1"],
    "S2": ["sentinel-2"],
    "MM": ["sentinel-1", "sentinel-2"],
}


class Metric(NamedTuple):
    """A score.

    Attributes:
      kind: What Hugging Face calls what it measures.
      name: What it is called here.
      value: The score.
    """

    kind: str
    name: str
    value: float


class Scores(NamedTuple):
    """The scores of a split.

    Attributes:
      data: Full name of the dataset.
      part: Which part of BigEarthNet it holds; "" for all of it.
      split: Its split.
      num_samples: How many patches that has.
      threshold: A class is predicted at a probability of at least this.
      metrics: The scores.
    """

    data: str
    part: str
    split: str
    num_samples: int
    threshold: float
    metrics: list[Metric]


def render(
    description: description_lib.Description,
    *,
    num_parameters: int,
    scores: Sequence[Scores] = (),
    model_format: str = "saved_model",
    path: str | os.PathLike = ".",
    input_dtype: str | None = None,
) -> str:
    """Makes the text of the card.

    Args:
      description: Of the model.
      num_parameters: How many numbers its weights are.
      scores: Those that say something of it.
      model_format: "saved_model", "onnx" or "tflite".
      path: Of the model, from the folder of the card.
      input_dtype: Of all inputs; None: as the files of BigEarthNet have them.
    """
    kinds = {metric.kind for split in scores for metric in split.metrics}
    return templates.render(
        "cards/model_card.md",
        model=description,
        num_parameters=num_parameters,
        model_format=model_format,
        library=_LIBRARIES[model_format],
        sensors=SENSORS[description.modality],
        grids={x: bigearthnet.GRIDS[x] for x in description.input_names},
        path=path,
        input_dtype=input_dtype,
        dataset=bigearthnet.DATASET_NAME,
        scores=scores,
        kinds=sorted(kinds),
        version=ben_tf.__version__,
    )
