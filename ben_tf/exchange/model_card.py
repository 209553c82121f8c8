"""The card of an exported model, as Hugging Face reads it.

Its scores are those of metrics/<split>.json, if they say anything: on real
patches, with these weights, which have not been trained on those patches.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import ben_tf
from ben_tf import bigearthnet
from ben_tf import saved_model as saved_model_lib
from ben_tf import workdir as workdir_lib
from ben_tf.data import leakage
from ben_tf.evaluation import comparison
from ben_tf.evaluation import results
from ben_tf.exchange import templates
from ben_tf.exchange import tflite

# The names that Hugging Face has for what a score measures.
_KINDS = {
    "sample_f2": "f2",
    "sample_recall": "recall",
    "hamming_loss": "hamming_loss",
    "one_error": "one_error",
    "macro_f2": "f2",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "macro_average_precision": "average_precision",
    "micro_average_precision": "average_precision",
}
_LIBRARIES = {"saved_model": "tensorflow", "onnx": "onnx", "tflite": "tflite"}
_SENSORS = {
    "S1": ["sentinel-1"],
    "S2": ["sentinel-2"],
    "MM": ["sentinel-1", "sentinel-2"],
}


class _Metric(NamedTuple):
    kind: str
    name: str
    value: float


class _Scores(NamedTuple):
    evaluation: results.Evaluation
    metrics: list[_Metric]


def evaluations_of(
    workdir: workdir_lib.Workdir, served: saved_model_lib.ServedModel
) -> list[results.Evaluation]:
    """The evaluations of whole splits whose scores may be shown.

    Raises:
      UserError: A file of scores is damaged.
    """
    evaluations = [
        results.Evaluation.read(workdir, split)
        for split in bigearthnet.SPLIT_SIZES
        if workdir.metrics_file(split).exists()
    ]
    return [x for x in evaluations if _says_something(x, served)]


def _says_something(
    evaluation: results.Evaluation, served: saved_model_lib.ServedModel
) -> bool:
    seen = {leakage.version_of(name) for name in served.trained_on}
    scored_on = leakage.version_of(evaluation.data.name)
    return (
        not evaluation.is_synthetic
        and not served.trained_on_synthetic
        and evaluation.model.fingerprint == served.fingerprint
        and not any(
            leakage.num_shared(version, scored_on, evaluation.split)
            for version in seen
        )
    )


def render(
    served: saved_model_lib.ServedModel,
    evaluations: Sequence[results.Evaluation],
    *,
    model_format: str,
    path: pathlib.PurePath,
) -> str:
    """Makes the text of README.md.

    Args:
      served: The model.
      evaluations: What `evaluations_of` returned.
      model_format: "saved_model", "onnx" or "tflite".
      path: Of the model, from the folder of the card.
    """
    scores = [_Scores(x, _metrics(x)) for x in evaluations]
    kinds = {x.kind for score in scores for x in score.metrics}
    return templates.render(
        "model_card.md",
        served=served,
        model_format=model_format,
        library=_LIBRARIES[model_format],
        sensors=_SENSORS[served.modality],
        grids={name: bigearthnet.GRIDS[name] for name in served.input_names},
        path=path,
        input_dtype=tflite.INPUT_DTYPE if model_format == "tflite" else None,
        dataset=bigearthnet.DATASET_NAME,
        scores=scores,
        kinds=sorted(kinds),
        version=ben_tf.__version__,
    )


def _metrics(evaluation: results.Evaluation) -> list[_Metric]:
    return [
        _Metric(kind, comparison.HEADLINES[name], value)
        for name, kind in _KINDS.items()
        if (value := evaluation.overall[name]) is not None
    ]
