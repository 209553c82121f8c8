"""Scores a trained model on a split, and keeps the scores in its workdir."""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import origin
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.cards import model_card
from ben_tf.data import built_dataset
from ben_tf.data import leakage
from ben_tf.data import run_data
from ben_tf.evaluation import card_scores
from ben_tf.evaluation import freshness
from ben_tf.evaluation import history
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from ben_tf.metrics import calibration
from ben_tf.metrics import exact
from ben_tf.metrics import intervals

_TUNING_SPLIT = "validation"


def evaluate(
    *,
    workdir: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    split: str = "test",
    batch_size: int = 256,
    thresholds: str = "paper",
    allow_leakage: bool = False,
) -> results.Evaluation:
    """Predicts a split, scores it and writes both to the workdir.

    The card of the model shows the scores from then on, if they say anything.

    Args:
      workdir: Folder of the run, with its exported model.
      data_dir: Folder of the TFDS dataset; None: the one that the run was
        trained on.
      split: TFDS split.
      batch_size: Patches at a time.
      thresholds: "paper" for `bigearthnet.THRESHOLD`; "tuned" adds scores with
        thresholds chosen on the validation split.
      allow_leakage: Score also what the model was trained on in another version
        of BigEarthNet.

    Raises:
      UserError: No such workdir, saved model, dataset or split, or the split
        holds training patches of another version. Or, at the end, the card was
        not renewed, since the scores of another split are damaged.
    """
    run = workdir_lib.Workdir(workdir)
    if not run.path.is_dir():
        raise errors.UserError(
            f"No folder {workdir}. Expected the `workdir` of a training run; "
            "start one with python -m ben_tf.train."
        )
    files.check_writable(run.metrics_file(split))
    files.check_writable(run.predictions_file(split))
    files.check_writable(run.saved_model / model_card.FILE_NAME)
    if data_dir is None:
        data_dir = run_data.check_there(run.read_config().data_dir, run.path)
    builder = built_dataset.open_dataset(data_dir)
    model = saved_model.load(run.saved_model)
    freshness.check_best(
        run,
        model.epoch,
        history.History.read(run),
        what=f"the weights in {run.saved_model}",
    )
    seen = run.read_data()
    if not allow_leakage:
        # Thresholds that are chosen on training patches say too much as well.
        read = [split, *([_TUNING_SPLIT] if thresholds == "tuned" else [])]
        leakage.check(seen.names, builder.info.config_name, "+".join(read))

    def predict(name: str) -> predictions.Predictions:
        predicted = predictions.predict(
            model, builder, name, batch_size=batch_size
        )
        predictions.save(predicted, run.predictions_file(name))
        return predicted

    tuned_thresholds = None
    if thresholds == "tuned":
        validation = predict(_TUNING_SPLIT)
        tuned_thresholds = calibration.best_thresholds(
            validation.labels, validation.probabilities
        )
    predicted = predict(split)
    evaluation = results.Evaluation(
        split=split,
        num_samples=len(predicted),
        class_names=list(model.class_names),
        model=results.Model(
            name=model.model,
            modality=model.modality,
            fingerprint=model.fingerprint,
            trained_on_synthetic=model.trained_on_synthetic,
            trained_on=seen.name,
            trained_on_part=seen.part,
            origins=seen.origins,
            epoch=model.epoch,
            num_parameters=model.num_parameters,
        ),
        data=results.Data(
            name=builder.info.full_name,
            synthetic=built_dataset.is_synthetic(builder),
            split_sizes={
                name: info.num_examples
                for name, info in builder.info.splits.items()
            },
            fingerprint=predicted.fingerprint,
            part=built_dataset.part(builder),
            records=predicted.records,
        ),
        threshold=bigearthnet.THRESHOLD,
        **_scores(predicted, bigearthnet.THRESHOLD),
        intervals_95=_intervals(predicted),
        groups=_groups(predicted),
        calibration=_calibration(predicted),
        tuned=None
        if tuned_thresholds is None
        else results.Tuned(
            chosen_on=_TUNING_SPLIT,
            thresholds=tuned_thresholds.tolist(),
            **_scores(predicted, tuned_thresholds),
        ),
        origin=origin.here_and_now(),
    )
    evaluation.write(run)
    card_scores.renew_card(run, model)
    return evaluation


def _scores(
    predicted: predictions.Predictions, threshold: float | np.ndarray
) -> dict[str, Any]:
    """The fields that `Evaluation` and `Tuned` share."""
    scores = exact.compute(
        predicted.labels, predicted.probabilities, threshold=threshold
    )
    return {
        "overall": {name: _value(v) for name, v in scores.overall.items()},
        "per_class": {name: _values(v) for name, v in scores.per_class.items()},
        "undefined": scores.undefined,
    }


def _intervals(predicted: predictions.Predictions) -> results.Intervals:
    ends = intervals.bootstrap(predicted.labels, predicted.probabilities)
    per_class = _values(np.moveaxis(ends.pop("per_class_f2"), 0, -1))
    return results.Intervals(
        **{name: tuple(_values(pair)) for name, pair in ends.items()},
        per_class_f2=[tuple(pair) for pair in per_class],
    )


def _groups(
    predicted: predictions.Predictions,
) -> dict[str, dict[str, results.Group]]:
    num_labels = predicted.labels.sum(axis=1)
    return {
        "country": _group_scores(
            predicted, predicted.country, dict(enumerate(bigearthnet.COUNTRIES))
        ),
        "season": _group_scores(
            predicted, predicted.season, dict(enumerate(bigearthnet.SEASONS))
        ),
        "number of labels": _group_scores(
            predicted,
            num_labels,
            {int(num): str(num) for num in np.unique(num_labels)},
        ),
    }


def _group_scores(
    predicted: predictions.Predictions,
    group_of_patch: np.ndarray,
    names: Mapping[int, str],
) -> dict[str, results.Group]:
    """Scores the patches of each group that has any."""
    groups = {}
    for value, name in names.items():
        members = group_of_patch == value
        if members.any():
            scores = exact.compute(
                predicted.labels[members], predicted.probabilities[members]
            )
            _, *metrics = results.Group.__struct_fields__
            groups[name] = results.Group(
                scores.num_samples,
                *(_value(scores.overall[metric]) for metric in metrics),
            )
    return groups


def _calibration(predicted: predictions.Predictions) -> results.Calibration:
    reliability = calibration.reliability(
        predicted.labels, predicted.probabilities
    )
    return results.Calibration(
        expected_calibration_error=reliability.expected_calibration_error,
        mean_probability=_values(reliability.mean_probability),
        fraction_present=_values(reliability.fraction_present),
        num_pairs=reliability.num_pairs.tolist(),
    )


def _value(value: float) -> results.Value:
    return None if math.isnan(value) else value


def _values(values: np.ndarray) -> list[Any]:
    """The array as nested lists; NaN becomes None, since JSON has no NaN."""
    plain = values.astype(object)
    plain[np.isnan(values)] = None
    return plain.tolist()
