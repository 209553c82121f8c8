"""What TensorBoard shows of validation: curves of classes, and some patches."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.pr_curve import summary as pr_curve

from ben_tf import bigearthnet
from ben_tf.data import built_dataset
from ben_tf.metrics import streaming
from ben_tf.training import runs

# In steps of 0.01. The running metric knows probabilities in steps of 0.001.
_NUM_THRESHOLDS = 101
# Red, green and blue. A channel is white two standard deviations above the mean
# of the archive, and black as far below it or, of Sentinel-2, at 0: the same
# for all patches, so that they can be compared.
_S2_BANDS = ("B04", "B03", "B02")
_VV_MINUS_VH_DB = (0.0, 15.0)
_DEVIATIONS = 2.0
_SYNTHETIC = "Synthetic patches: the labels say nothing about BigEarthNet.\n"


class ValidationCharts:
    """Draws with the writer that is TensorBoard's default, at its step.

    The patches are the first ones of the validation split.
    """

    def __init__(self, run: runs.Run, *, num_patches: int):
        """Reads the patches, if any.

        Args:
          run: What is trained, by one process: several would have to draw
            together what one of them writes.
          num_patches: How many patches to show; 0 for none.
        """
        self._run = run
        self._classes = bigearthnet.CLASSES[run.config.num_classes]
        self._patches: Mapping[str, Any] | None = None
        if num_patches:
            self._patches = run.first_validation_patches(num_patches)

    def write_pictures(self) -> None:
        """Writes the patches as pictures, with their labels."""
        if self._patches is None:
            return
        for place, (name, labels) in enumerate(
            zip(self._names, self._labels, strict=True)
        ):
            grids = {
                grid: values[place].numpy()
                for grid, values in self._patches["inputs"].items()
            }
            for title, pixels in _pictures(grids).items():
                tf.summary.image(
                    f"patch {place + 1}/{title}",
                    pixels[None],
                    description=f"{name}: {', '.join(self._of(labels))}",
                )

    def write_epoch(self) -> None:
        """Writes the curves of the classes and what the patches are taken for.

        To be called at the end of validation, whose running metrics and
        weights it takes.
        """
        metric = next(
            metric
            for metric in self._run.epoch_metrics
            if isinstance(metric, streaming.StreamingAveragePrecision)
        )
        step = tf.summary.experimental.get_step()
        for name, positives, everything in zip(
            self._classes, *metric.counts_by_score(), strict=True
        ):
            curve = _pr_curve(name, positives, everything)
            tf.summary.experimental.write_raw_pb(
                curve.SerializeToString(), step=step
            )
        if self._patches is not None:
            tf.summary.text("patches", self._table())

    def _table(self) -> str:
        """True and predicted labels of the patches, in Markdown."""
        patches: Any = self._patches
        builder = self._run.builder
        ready = self._run.preprocessing(patches["inputs"])
        probabilities = self._run.model(ready, training=False).numpy()
        lines = [_SYNTHETIC] if built_dataset.is_synthetic(builder) else []
        lines += ["| patch | true | predicted |", "|---|---|---|"]
        for place, (labels, scores) in enumerate(
            zip(self._labels, probabilities, strict=True)
        ):
            predicted = [
                f"{self._classes[i]} {scores[i]:.2f}"
                for i in np.argsort(-scores)
                if scores[i] >= bigearthnet.THRESHOLD
            ]
            lines.append(
                f"| {place + 1}: {self._names[place]} | "
                f"{', '.join(self._of(labels))} | "
                f"{', '.join(predicted) or 'none'} |"
            )
        return "\n".join(lines)

    @property
    def _names(self) -> list[str]:
        patches: Any = self._patches
        return [name.decode() for name in patches["patch_name"].numpy()]

    @property
    def _labels(self) -> np.ndarray:
        patches: Any = self._patches
        return patches["labels"].numpy().astype(bool)

    def _of(self, labels: np.ndarray) -> list[str]:
        return [self._classes[i] for i in np.flatnonzero(labels)]


def _pictures(grids: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Raw grids of a patch -> title -> (120, 120, 3) uint8."""
    bands = {
        band: grids[name][..., place].astype(np.float32)
        for name in grids
        for place, band in enumerate(bigearthnet.GRIDS[name].bands)
    }
    found = {}
    if "B04" in bands:
        found["Sentinel-2, true colour"] = np.stack(
            [_stretched(bands[band], *_range(band)) for band in _S2_BANDS], -1
        )
    if "VV" in bands:
        found["Sentinel-1, VV, VH, VV - VH"] = np.stack(
            [
                _stretched(bands["VV"], *_range("VV")),
                _stretched(bands["VH"], *_range("VH")),
                _stretched(bands["VV"] - bands["VH"], *_VV_MINUS_VH_DB),
            ],
            -1,
        )
    return found


def _range(band: str) -> tuple[float, float]:
    mean = bigearthnet.PAPER_STATISTICS.mean[band]
    spread = _DEVIATIONS * bigearthnet.PAPER_STATISTICS.std[band]
    is_s2 = bigearthnet.grid_of_band(band).sensor == "S2"
    return (0.0 if is_s2 else mean - spread), mean + spread


def _stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8)


def _pr_curve(name: str, positives: np.ndarray, everything: np.ndarray) -> Any:
    """The summary of a class.

    Args:
      name: Of the class.
      positives: (bins,) patches with the label, highest scores first.
      everything: (bins,) all patches.
    """
    # Above a threshold lie the bins that it leaves in front.
    ends = np.linspace(len(positives), 0, _NUM_THRESHOLDS).round().astype(int)
    true = np.concatenate([[0], positives.cumsum()])[ends]
    predicted = np.concatenate([[0], everything.cumsum()])[ends]
    num_labels, num_patches = positives.sum(), everything.sum()
    return pr_curve.raw_data_pb(
        f"curves/{name}",
        true_positive_counts=true,
        false_positive_counts=predicted - true,
        true_negative_counts=num_patches - num_labels - (predicted - true),
        false_negative_counts=num_labels - true,
        precision=true / np.maximum(predicted, 1),
        recall=true / np.maximum(num_labels, 1),
        num_thresholds=_NUM_THRESHOLDS,
        display_name=name,
    )
