"""Scores a trained model on a split, beside the paper's figures.

    python -m ben_tf.evaluate --workdir=... --data_dir=... --split=test

Writes WORKDIR/metrics/<split>.json (all metrics, intervals, groups) and
WORKDIR/predictions/<split>.npz (labels and probabilities of every patch).
"""

import json
import math
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from absl import flags

from ben_tf import command_line

if TYPE_CHECKING:
    import numpy as np

    from ben_tf import predictions

flags.adopt_module_key_flags(command_line)

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
    from ben_tf import atomic_file
    from ben_tf import calibration
    from ben_tf import input_pipeline
    from ben_tf import predictions
    from ben_tf import saved_model

    workdir = pathlib.Path(workdir)
    if not workdir.is_dir():
        raise command_line.UserError(
            f"No folder {workdir}. Expected the --workdir of a training run; "
            "start one with python -m ben_tf.train."
        )
    builder = input_pipeline.open_dataset(data_dir)
    model = saved_model.load(workdir / "saved_model")
    predicted = {}
    for name in ["validation", split] if thresholds == "tuned" else [split]:
        predicted[name] = predictions.predict(
            model, builder, name, batch_size=batch_size
        )
        predictions.save(
            predicted[name],
            workdir / "predictions" / f"{predictions.file_name(name)}.npz",
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
            "synthetic": input_pipeline.is_synthetic(builder),
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
    path = workdir / "metrics" / f"{predictions.file_name(split)}.json"
    atomic_file.write(path, json.dumps(result, indent=2, allow_nan=False))
    return result


def score(predicted: "predictions.Predictions") -> dict:
    """Scores `predictions.Predictions` in every way that the report shows.

    Returns:
      dict with overall, per_class and undefined (see `scoring.Scores`),
      intervals_95 (see `bootstrap.intervals`), groups (kind of group -> group
      -> num_samples and `GROUP_METRICS`) and calibration.
    """
    import numpy as np

    from ben_tf import bigearthnet
    from ben_tf import bootstrap
    from ben_tf import calibration

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
    predicted: "predictions.Predictions", threshold: "float | np.ndarray" = 0.5
) -> dict:
    from ben_tf import scoring

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
    predicted: "predictions.Predictions",
    group_of_patch: "np.ndarray",
    names: Mapping[int, str],
) -> dict:
    """Scores the patches of each group that has any."""
    from ben_tf import scoring

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


def fingerprint(predicted: "predictions.Predictions") -> str:
    """SHA-256 over names and labels of the patches: which data were scored."""
    import hashlib

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


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    workdir = flags.DEFINE_string(
        "workdir",
        None,
        "Folder of the training run; its saved_model is evaluated.",
        required=True,
    )
    data_dir = flags.DEFINE_string(
        "data_dir",
        None,
        "Folder with the TFRecords that tfrecords_builder.build wrote.",
        required=True,
    )
    split = flags.DEFINE_string(
        "split",
        "test",
        "What to score: train, validation, test, excluded, or a part of one "
        "such as 'test[:1000]'.",
    )
    batch_size = flags.DEFINE_integer(
        "batch_size",
        256,
        "Patches at a time. Changes speed and memory, never the scores.",
        lower_bound=1,
    )
    thresholds = flags.DEFINE_enum(
        "thresholds",
        "paper",
        ["paper", "tuned"],
        "paper: a class is predicted from 0.5 on. tuned: scores with "
        "thresholds that give the highest F1 of each class on the validation "
        "split are shown beside those of 0.5.",
    )
    compare_to = flags.DEFINE_enum(
        "compare_to",
        "paper",
        ["paper", "none"],
        "Whose figures to print beside ours.",
    )

    def main() -> None:
        from ben_tf import comparison

        result = evaluate(
            workdir=workdir.value,
            data_dir=data_dir.value,
            split=split.value,
            batch_size=batch_size.value,
            thresholds=thresholds.value,
        )
        print(
            comparison.as_text(result, with_paper=compare_to.value == "paper")
        )
        print(f"Metrics and predictions are in {workdir.value}")

    return main


if __name__ == "__main__":
    command_line.run(command, uses_tensorflow=True)
