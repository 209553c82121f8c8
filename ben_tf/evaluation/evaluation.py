"""Scores a trained model on a split, and keeps the scores in its workdir."""

import hashlib
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.evaluation import predictions
from ben_tf.metrics import bootstrap
from ben_tf.metrics import calibration
from ben_tf.metrics import scoring

# What groups of patches are scored on.
GROUP_METRICS = (
    "sample_recall",
    "sample_f2",
    "hamming_loss",
    "one_error",
    "macro_f1",
    "macro_f2",
    "micro_f1",
)


def evaluate(
    *,
    workdir: str | os.PathLike,
    data_dir: str | os.PathLike,
    split: str = "test",
    batch_size: int = 256,
    thresholds: str = "paper",
) -> dict:
    """Predicts a split, scores it and writes both to the workdir.

    Args:
      workdir: Folder of the run, with `saved_model`.
      data_dir: Folder with the dataset.
      split: TFDS split.
      batch_size: Patches at a time.
      thresholds: "paper" for 0.5; "tuned" adds scores with thresholds chosen
        on the validation split.

    Returns:
      What metrics/<split>.json holds; None stands for an undefined value.

    Raises:
      UserError: No such workdir, saved model, dataset or split.
    """
    run = workdir_lib.Workdir(workdir)
    if not run.path.is_dir():
        raise errors.UserError(
            f"No folder {workdir}. Expected the --workdir of a training run; "
            "start one with python -m ben_tf.train."
        )
    builder = built_dataset.open_dataset(data_dir)
    model = saved_model.load(run.saved_model)
    predicted = {}
    for name in ["validation", split] if thresholds == "tuned" else [split]:
        predicted[name] = predictions.predict(
            model, builder, name, batch_size=batch_size
        )
        predictions.save(
            predicted[name],
            run.predictions_file(name),
        )
    result = {
        "split": split,
        "num_samples": len(predicted[split]),
        "class_names": list(model.class_names),
        "model": {
            "name": model.model,
            "modality": model.modality,
            "fingerprint": model.fingerprint,
            "trained_on_synthetic": model.trained_on_synthetic,
        },
        "data": {
            "name": builder.info.full_name,
            "synthetic": built_dataset.is_synthetic(builder),
            "split_sizes": {
                name: info.num_examples
                for name, info in builder.info.splits.items()
            },
            "fingerprint": fingerprint(predicted[split]),
        },
        "threshold": 0.5,
    } | score(predicted[split])
    if thresholds == "tuned":
        validation = predicted["validation"]
        tuned = calibration.best_thresholds(
            validation.labels, validation.probabilities
        )
        result["tuned"] = {
            "chosen_on": "validation",
            "thresholds": tuned.tolist(),
        } | _scores(predicted[split], tuned)
    result = without_nan(result)
    files.write_json(run.metrics_file(split), result)
    return result


def score(predicted: predictions.Predictions) -> dict:
    """Scores `predictions.Predictions` in every way that the report shows.

    Returns:
      dict with overall, per_class and undefined (see `scoring.Scores`),
      intervals_95 (see `bootstrap.intervals`), groups (kind of group -> group
      -> num_samples and `GROUP_METRICS`) and calibration.
    """
    reliability = calibration.reliability(
        predicted.labels, predicted.probabilities
    )
    num_labels = predicted.labels.sum(axis=1)
    groups = {
        "country": _groups(
            predicted, predicted.country, dict(enumerate(bigearthnet.COUNTRIES))
        ),
        "season": _groups(
            predicted, predicted.season, dict(enumerate(bigearthnet.SEASONS))
        ),
        "number of labels": _groups(
            predicted,
            num_labels,
            {int(num): str(num) for num in np.unique(num_labels)},
        ),
    }
    return _scores(predicted) | {
        "intervals_95": {
            name: np.moveaxis(ends, 0, -1).tolist()
            for name, ends in bootstrap.intervals(
                predicted.labels, predicted.probabilities
            ).items()
        },
        "groups": groups,
        "calibration": {
            "expected_calibration_error": (
                reliability.expected_calibration_error
            ),
            "mean_probability": reliability.mean_probability.tolist(),
            "fraction_present": reliability.fraction_present.tolist(),
            "num_pairs": reliability.num_pairs.tolist(),
        },
    }


def _scores(
    predicted: predictions.Predictions, threshold: float | np.ndarray = 0.5
) -> dict:

    scores = scoring.compute(
        predicted.labels, predicted.probabilities, threshold=threshold
    )
    return {
        "overall": scores.overall,
        "per_class": {
            name: values.tolist() for name, values in scores.per_class.items()
        },
        "undefined": scores.undefined,
    }


def _groups(
    predicted: predictions.Predictions,
    group_of_patch: np.ndarray,
    names: Mapping[int, str],
) -> dict:
    """Scores the patches of each group that has any."""
    groups = {}
    for value, name in names.items():
        members = group_of_patch == value
        if members.any():
            scores = scoring.compute(
                predicted.labels[members], predicted.probabilities[members]
            )
            groups[name] = {"num_samples": scores.num_samples} | {
                metric: scores.overall[metric] for metric in GROUP_METRICS
            }
    return groups


def fingerprint(predicted: predictions.Predictions) -> str:
    """SHA-256 over names and labels of the patches: which data were scored."""
    digest = hashlib.sha256()
    digest.update("\n".join(predicted.patch_name).encode())
    digest.update(predicted.labels.tobytes())
    return digest.hexdigest()


def without_nan(value: Any) -> Any:
    """Replaces NaN by None, in nested dicts and lists: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
