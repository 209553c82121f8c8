"""Streaming scores equal the exact ones, in `fit` as well."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf

from ben_tf.metrics import definitions
from ben_tf.metrics import exact
from ben_tf.metrics import streaming
from tests.ben_tf.metrics import examples

_STREAMED = [
    *definitions.SAMPLE_METRICS,
    *(
        f"{average}_{name}"
        for average in ("macro", "micro")
        for name in definitions.COUNT_METRICS
    ),
]


@pytest.fixture(scope="module")
def streams():
    """Every streaming metric with a compiled update, as `fit` runs it."""
    streamed = [streaming.streaming_metric(name, 5) for name in _STREAMED]

    @tf.function(input_signature=[tf.TensorSpec((None, 5))] * 2)
    def update(labels, probabilities):
        for metric in streamed:
            metric.update_state(labels, probabilities)

    return streamed, update


@pytest.mark.slow
@hypothesis.settings(deadline=None, max_examples=25)
@hypothesis.given(examples.PREDICTIONS)
def test_streaming_equals_exact_whatever_the_batching(streams, predictions):
    labels, probabilities, cuts = predictions
    expected = exact.compute(labels, probabilities).overall
    streamed, update = streams
    for metric in streamed:
        metric.reset_state()
    for rows in np.split(np.arange(len(labels)), sorted(cuts)):
        update(labels[rows].astype(np.float32), probabilities[rows])
    for metric in streamed:
        assert float(metric.result()) == pytest.approx(
            expected[metric.name], rel=1e-5, nan_ok=True
        ), metric.name


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_binned_average_precision_is_close(average):
    random = np.random.default_rng(3)
    labels = random.random((2000, 6)) < 0.3
    probabilities = np.clip(
        0.5 * random.random(labels.shape) + 0.4 * labels, 0, 1
    ).astype(np.float32)
    name = f"{average}_average_precision"
    metric = streaming.streaming_metric(name, 6)
    for rows in np.split(np.arange(2000), [500, 501]):
        metric.update_state(labels[rows], probabilities[rows])
    expected = exact.compute(labels, probabilities).overall[name]
    assert float(metric.result()) == pytest.approx(expected, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_streaming_metrics_run_in_fit(jit_compile):
    labels, probabilities = examples.random_predictions(num_classes=5)
    model = tf.keras.Sequential([tf.keras.layers.Activation("linear")])
    model.compile(
        loss="binary_crossentropy",
        metrics=streaming.make_streaming_metrics(5),
        jit_compile=jit_compile,
    )
    history = model.fit(
        probabilities,
        labels.astype(np.float32),
        batch_size=100,
        shuffle=False,
        verbose=0,
        validation_data=(probabilities, labels.astype(np.float32)),
    ).history
    expected = exact.compute(labels, probabilities).overall
    for name in ("macro_f1", "micro_f1", "sample_f2", "one_error"):
        assert history[name][0] == pytest.approx(expected[name], rel=1e-5)
        assert history[f"val_{name}"] == history[name]


def test_streaming_metrics_add_up_over_replicas():
    labels, probabilities = examples.random_predictions(num_classes=5)
    device = tf.config.list_logical_devices("CPU")[0].name
    strategy = tf.distribute.MirroredStrategy([device])
    with strategy.scope():
        metric = streaming.streaming_metric("macro_f1", 5)

    @tf.function
    def step(batch):
        strategy.run(metric.update_state, args=batch)

    data = tf.data.Dataset.from_tensor_slices((labels, probabilities)).batch(64)
    for batch in strategy.experimental_distribute_dataset(data):
        step(batch)
    expected = exact.compute(labels, probabilities).overall["macro_f1"]
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_unknown_metric_and_weights_are_refused():
    with pytest.raises(ValueError, match="Unknown metric"):
        streaming.streaming_metric("macro_luck", 5)
    metric = streaming.streaming_metric("micro_f1", 5)
    with pytest.raises(ValueError, match="sample weights"):
        metric.update_state(np.zeros((1, 5)), np.zeros((1, 5)), 1.0)
