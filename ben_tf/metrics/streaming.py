"""Keras metrics for `fit`: running sums of what `definitions` defines."""

import numpy as np
import tensorflow as tf

from ben_tf.metrics import definitions

_STREAMING = (
    "macro_f1",
    "micro_f1",
    "sample_f2",
    "sample_recall",
    "hamming_loss",
    "one_error",
    "macro_average_precision",
)


def make_streaming_metrics(num_classes: int) -> list[tf.keras.metrics.Metric]:
    """Returns the metrics to show while training, one scalar each.

    They take multi-hot labels and probabilities, (batch, num_classes) each,
    and hold only variables that add up: safe in graphs, under XLA and under
    distribution strategies.
    """
    return [streaming_metric(name, num_classes) for name in _STREAMING]


def streaming_metric(name: str, num_classes: int) -> tf.keras.metrics.Metric:
    """Returns the Keras metric for any key of `exact.Scores.overall`."""
    average, _, score = name.partition("_")
    if name in definitions.SAMPLE_METRICS:
        return StreamingSampleMean(name=name)
    if average in ("macro", "micro") and score in definitions.COUNT_METRICS:
        return StreamingCountScore(name=name, num_classes=num_classes)
    if average in ("macro", "micro") and score == "average_precision":
        return StreamingAveragePrecision(name=name, num_classes=num_classes)
    raise ValueError(
        f"Unknown metric. Expected one of {definitions.SAMPLE_METRICS}, or "
        "macro_ or micro_ and one of "
        f"{(*definitions.COUNT_METRICS, 'average_precision')}. "
        f"Received: {name!r}"
    )


class _Streaming(tf.keras.metrics.Metric):
    """What the streaming metrics share: input checks, summing variables."""

    def update_state(
        self,
        y_true: tf.Tensor,
        y_pred: tf.Tensor,
        sample_weight: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch: y_true multi-hot, y_pred probabilities, (B, C)."""
        if sample_weight is not None:
            raise ValueError(f"{self.name} does not take sample weights.")
        probabilities = tf.cast(y_pred, tf.float32)
        self._add_batch(tf.cast(y_true, tf.bool), probabilities)

    def reset_state(self) -> None:
        """Forgets all batches."""
        for variable in self.variables:
            variable.assign(tf.zeros_like(variable))

    def _add_sum(self, name: str, shape: tuple[int, ...] = ()) -> tf.Variable:
        # Sums of several hundred thousand samples outgrow float32.
        return self.add_weight(
            name=name, shape=shape, initializer="zeros", dtype=tf.float64
        )


class StreamingSampleMean(_Streaming):
    """Mean of one of `definitions.SAMPLE_METRICS` over all samples so far."""

    def __init__(self, name: str):
        super().__init__(name=name)
        self._total = self._add_sum("total")
        self._num_defined = self._add_sum("num_defined")

    def _add_batch(self, labels: tf.Tensor, probabilities: tf.Tensor) -> None:
        # In a graph, what this metric does not need is never computed.
        values = definitions.sample_values(labels, probabilities)[self.name]
        defined = ~tf.math.is_nan(values)
        values = tf.cast(tf.where(defined, values, 0), tf.float64)
        self._total.assign_add(tf.reduce_sum(values))
        self._num_defined.assign_add(
            tf.reduce_sum(tf.cast(defined, tf.float64))
        )

    def result(self) -> tf.Tensor:
        """Scalar float32."""
        return tf.cast(self._total / self._num_defined, tf.float32)


class StreamingCountScore(_Streaming):
    """A macro_* or micro_* score of all samples so far."""

    def __init__(self, name: str, num_classes: int):
        super().__init__(name=name)
        self._counts = self._add_sum("counts", (3, num_classes))

    def _add_batch(self, labels: tf.Tensor, probabilities: tf.Tensor) -> None:
        self._counts.assign_add(definitions.class_counts(labels, probabilities))

    def result(self) -> tf.Tensor:
        """Scalar float32."""
        scores = definitions.averaged_scores(tf.convert_to_tensor(self._counts))
        return tf.cast(scores[self.name], tf.float32)


class StreamingAveragePrecision(_Streaming):
    """Average precision on binned scores, macro or micro.

    Scores are put into `_NUM_BINS` bins of equal width, and scores of one bin
    count as equal. Within a few thousandths of the exact value, which
    `exact.compute` gives.
    """

    _NUM_BINS = 1000

    def __init__(self, name: str, num_classes: int):
        super().__init__(name=name)
        # Positives and all samples of each class and bin, best bin first.
        self._positives = self._add_sum(
            "positives", (num_classes, self._NUM_BINS)
        )
        self._all = self._add_sum("all", (num_classes, self._NUM_BINS))

    def _add_batch(self, labels: tf.Tensor, probabilities: tf.Tensor) -> None:
        num_classes, num_bins = self._all.shape
        bins = tf.cast((1.0 - probabilities) * num_bins, tf.int32)
        bins = tf.clip_by_value(bins, 0, num_bins - 1)
        cells = tf.reshape(bins + tf.range(num_classes) * num_bins, [-1])
        is_label = tf.reshape(tf.cast(labels, tf.float64), [-1])
        for total, weights in (
            (self._positives, is_label),
            (self._all, tf.ones_like(is_label)),
        ):
            sums = tf.math.unsorted_segment_sum(
                weights, cells, num_classes * num_bins
            )
            total.assign_add(tf.reshape(sums, total.shape))

    def counts_by_score(self) -> tuple[np.ndarray, np.ndarray]:
        """Samples so far by the score that they were given.

        Returns:
          Two arrays (num_classes, bins), highest scores first: samples with
          the label, and all samples.
        """
        return (
            tf.convert_to_tensor(self._positives).numpy(),
            tf.convert_to_tensor(self._all).numpy(),
        )

    def result(self) -> tf.Tensor:
        """Scalar float32."""
        positives = tf.convert_to_tensor(self._positives)
        everything = tf.convert_to_tensor(self._all)
        if self.name.startswith("micro"):
            positives = tf.reduce_sum(positives, axis=0)
            everything = tf.reduce_sum(everything, axis=0)
        area = definitions.step_area(
            tf.cumsum(positives, axis=-1), tf.cumsum(everything, axis=-1)
        )
        if area.shape.rank:
            area = definitions.mean_of_defined(area)
        return tf.cast(area, tf.float32)
