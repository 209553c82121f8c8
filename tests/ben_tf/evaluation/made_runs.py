"""Workdirs as a training and an evaluation leave them, without either.

Labels and probabilities are drawn, so that runs of any quality take no time.
"""

import pathlib
from collections.abc import Sequence

import msgspec
import numpy as np

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import origin
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from ben_tf.metrics import exact
from ben_tf.metrics import intervals

V1 = "bigearthnet_mm/v1/1.0.0"
V2 = "bigearthnet_mm/v2/1.0.0"
_NUM_PATCHES = 80


def predicted(
    *, num_classes: int = 19, quality: float, patches: int = 0
) -> predictions.Predictions:
    """Labels that depend on the patches only, probabilities also on quality."""
    random = np.random.default_rng(patches)
    labels = random.random((_NUM_PATCHES, num_classes)) < 0.25
    noise = random.random(labels.shape)
    return predictions.Predictions(
        patch_name=np.array([f"{patches}_{n}" for n in range(_NUM_PATCHES)]),
        labels=labels.astype(np.uint8),
        probabilities=np.clip(noise + quality * (labels - 0.5), 0, 1).astype(
            np.float32
        ),
        country=np.zeros(_NUM_PATCHES, int),
        season=np.zeros(_NUM_PATCHES, int),
        epsg=np.full(_NUM_PATCHES, 32629),
        upper_left=np.full((_NUM_PATCHES, 2), 600_000.0),
        model=_weights(quality),
    )


def write(
    folder: pathlib.Path,
    *,
    quality: float = 0.3,
    patches: int = 0,
    dataset: str = V1,
    part: str = "",
    synthetic: bool = True,
    validation: Sequence[float] = (0.5, 0.75),
    scored_epoch: int | None = None,
    **options: object,
) -> workdir_lib.Workdir:
    """Fills a workdir, evaluated on the test split.

    Args:
      folder: The workdir.
      quality: From 0, guesses, to 1, no error.
      patches: Other numbers give other patches.
      dataset: What it was trained and scored on.
      part: Of the dataset.
      synthetic: Whether that is said of the dataset.
      validation: Score of each epoch.
      scored_epoch: Whose weights were scored; by default the best ones.
      **options: Of the configuration.
    """
    run = workdir_lib.Workdir(folder)
    config = config_lib.Config(
        **{"epochs": len(validation), "model": "small_cnn"} | options
    )
    run.write_config(config)
    run.write_data(
        workdir_lib.DataDescription(
            dataset, synthetic, {"train": 100}, part=part
        )
    )
    run.write_history(
        [
            {"epoch": str(n), "seconds": "30", workdir_lib.MONITOR: str(score)}
            for n, score in enumerate(validation, start=1)
        ]
    )
    scored = predicted(
        num_classes=config.num_classes, quality=quality, patches=patches
    )
    predictions.save(scored, run.predictions_file("test"))
    scores = exact.compute(scored.labels, scored.probabilities)
    ends = intervals.bootstrap(
        scored.labels, scored.probabilities, num_replicates=20
    )
    best = int(np.argmax(validation)) + 1
    results.Evaluation(
        split="test",
        num_samples=len(scored),
        class_names=list(bigearthnet.CLASSES[config.num_classes]),
        model=results.Model(
            config.model,
            config.modality,
            _weights(quality),
            synthetic,
            trained_on=dataset,
            epoch=scored_epoch or best,
            num_parameters=1234,
        ),
        data=results.Data(
            dataset, synthetic, {"test": len(scored)}, scored.fingerprint, part
        ),
        threshold=0.5,
        overall=scores.overall,
        per_class={n: x.tolist() for n, x in scores.per_class.items()},
        undefined=scores.undefined,
        intervals_95=results.Intervals(
            per_class_f2=ends.pop("per_class_f2").T.tolist(),
            **{name: tuple(pair.tolist()) for name, pair in ends.items()},
        ),
        groups={},
        calibration=results.Calibration(0.1, [0.5], [0.5], [1]),
        origin=origin.Origin("2026-01-02", "1", "2.15.1", "1 x a GPU"),
    ).write(run)
    return run


def change_scores(run: workdir_lib.Workdir, **fields: object) -> None:
    """Replaces fields of the scores on the test split."""
    evaluation = results.Evaluation.read(run, "test")
    msgspec.structs.replace(evaluation, **fields).write(run)


def _weights(quality: float) -> str:
    """A fingerprint of weights of that quality."""
    return f"weights {quality}"
