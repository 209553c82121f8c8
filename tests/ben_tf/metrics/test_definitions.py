"""Metrics against scikit-learn, hand-worked matrices and properties."""

import hypothesis
import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ben_tf.metrics import definitions
from ben_tf.metrics import exact
from ben_tf.metrics import streaming

_BETAS = {"f1": 1.0, "f2": 2.0, "f0_5": 0.5}


def _random_predictions(num_samples=300, num_classes=19, seed=0):
    """Labels and probabilities with ties, empty samples and empty classes."""
    random = np.random.default_rng(seed)
    labels = random.random((num_samples, num_classes)) < 0.2
    labels[:, 3] = False  # A class without a positive.
    labels[5] = False  # A sample without a label.
    labels[6] = True  # A sample with all labels.
    signal = 0.4 * random.random(labels.shape) + 0.35 * labels
    probabilities = np.round(signal, 2).astype(np.float32)  # Ties.
    probabilities[7] = 0.1  # No prediction.
    probabilities[:, 4] = 0.2  # A class that is never predicted.
    return labels, probabilities


@pytest.mark.parametrize("num_classes", [19, 43])
@pytest.mark.parametrize("average", ["macro", "micro", "per_class", "sample"])
def test_count_scores_equal_scikit_learn(average, num_classes):
    labels, probabilities = _random_predictions(num_classes=num_classes)
    scores = exact.compute(labels, probabilities)
    predictions = probabilities >= 0.5

    def ours(name):
        if average == "per_class":
            return scores.per_class[name]
        return scores.overall[f"{average}_{name}"]

    # The authors' code defines 0/0 as 0 for samples and nowhere else.
    options = {
        "average": {"sample": "samples", "per_class": None}.get(
            average, average
        ),
        "zero_division": 0 if average == "sample" else np.nan,
    }
    precision = sklearn.metrics.precision_score(labels, predictions, **options)
    recall = sklearn.metrics.recall_score(labels, predictions, **options)
    np.testing.assert_allclose(ours("precision"), precision, rtol=1e-6)
    np.testing.assert_allclose(ours("recall"), recall, rtol=1e-6)
    for name, beta in _BETAS.items():
        expected = sklearn.metrics.fbeta_score(
            labels, predictions, beta=beta, **options
        )
        np.testing.assert_allclose(ours(name), expected, rtol=1e-6)


def test_jaccard_equals_scikit_learn_where_defined():
    labels, probabilities = _random_predictions()
    labels[:, 3] = probabilities[:, 3] > 0.3
    predictions = probabilities >= 0.5
    labels[~(labels | predictions).any(axis=1), 0] = True
    scores = exact.compute(labels, probabilities).overall
    for ours, average in (
        ("sample_accuracy", "samples"),
        ("macro_accuracy", "macro"),
        ("micro_accuracy", "micro"),
    ):
        expected = sklearn.metrics.jaccard_score(
            labels, predictions, average=average
        )
        assert scores[ours] == pytest.approx(expected, rel=1e-6)


def test_ranking_metrics_equal_scikit_learn():
    labels, probabilities = _random_predictions()
    # scikit-learn defines other values for samples without a label, and for
    # samples with all of them.
    labels[5, 2] = True
    labels[6, 2] = False
    labels = labels[labels.any(axis=1)]
    probabilities = probabilities[: len(labels)]
    scores = exact.compute(labels, probabilities).overall
    for ours, oracle in (
        (
            "label_ranking_average_precision",
            sklearn.metrics.label_ranking_average_precision_score,
        ),
        ("ranking_loss", sklearn.metrics.label_ranking_loss),
        ("coverage", sklearn.metrics.coverage_error),
    ):
        expected = oracle(labels, probabilities)
        assert scores[ours] == pytest.approx(expected, rel=1e-6), ours


def test_hamming_loss_and_subset_accuracy_equal_scikit_learn():
    labels, probabilities = _random_predictions()
    predictions = probabilities >= 0.5
    scores = exact.compute(labels, probabilities).overall
    assert scores["hamming_loss"] == pytest.approx(
        sklearn.metrics.hamming_loss(labels, predictions), rel=1e-6
    )
    assert scores["subset_accuracy"] == pytest.approx(
        sklearn.metrics.accuracy_score(labels, predictions), rel=1e-6
    )


def test_average_precision_equals_scikit_learn_with_ties():
    labels, probabilities = _random_predictions()
    labels[6, 3] = False
    scores = exact.compute(labels, probabilities)
    for index, ours in enumerate(scores.per_class["average_precision"]):
        if index == 3:
            assert np.isnan(ours)
            continue
        expected = sklearn.metrics.average_precision_score(
            labels[:, index], probabilities[:, index]
        )
        assert ours == pytest.approx(expected, rel=1e-9)
    assert scores.overall["micro_average_precision"] == pytest.approx(
        sklearn.metrics.average_precision_score(
            labels, probabilities, average="micro"
        ),
        rel=1e-9,
    )
    assert scores.overall["macro_average_precision"] == pytest.approx(
        np.nanmean(scores.per_class["average_precision"]), rel=1e-9
    )
    assert scores.undefined["macro_average_precision"] == 1


def test_negative_zero_ties_with_zero():
    labels = np.array([True, False])
    scores = np.array([-0.0, 0.0], np.float32)
    assert exact.average_precision(labels, scores) == 0.5


# One sample a row, worked out by hand from the docstring of sample_values.
_BY_HAND = {
    "docstring": (
        [1, 0, 1, 0],
        [0.9, 0.6, 0.5, 0.1],
        {
            "sample_precision": 2 / 3,
            "sample_recall": 1,
            "sample_f1": 4 / 5,
            "sample_f2": 10 / 11,
            "sample_f0_5": 5 / 7,
            "sample_accuracy": 2 / 3,
            "hamming_loss": 1 / 4,
            "subset_accuracy": 0,
            "one_error": 0,
            "coverage": 3,
            "ranking_loss": 1 / 4,
            "label_ranking_average_precision": 5 / 6,
            "label_cardinality": 2,
        },
    ),
    # Ties count against the label: rank 3 of the three equal ones.
    "ties": (
        [0, 1, 0, 0],
        [0.5, 0.5, 0.5, 0.2],
        {
            "sample_precision": 1 / 3,
            "one_error": 1,  # The first of the equal ones is taken.
            "coverage": 3,
            "ranking_loss": 2 / 3,
            "label_ranking_average_precision": 1 / 3,
        },
    ),
    "no label": (
        [0, 0, 0, 0],
        [0.9, 0.1, 0.1, 0.1],
        {
            "sample_precision": 0,
            "sample_recall": 0,
            "sample_f2": 0,
            "sample_accuracy": 0,
            "hamming_loss": 1 / 4,
            "one_error": 1,
            "coverage": 0,
            "ranking_loss": np.nan,
            "label_ranking_average_precision": 0,
            "label_cardinality": 0,
        },
    ),
    "no prediction": (
        [1, 1, 0, 0],
        [0.4, 0.1, 0.2, 0.3],
        {
            "sample_precision": 0,
            "sample_recall": 0,
            "sample_f1": 0,
            "sample_accuracy": 0,
            "hamming_loss": 1 / 2,
            "one_error": 0,
            "coverage": 4,
            "ranking_loss": 1 / 2,
            "label_ranking_average_precision": (1 + 2 / 4) / 2,
        },
    ),
    "neither": (
        [0, 0, 0, 0],
        [0.1, 0.1, 0.1, 0.1],
        {"sample_accuracy": np.nan, "subset_accuracy": 1, "hamming_loss": 0},
    ),
    "all labels": (
        [1, 1, 1, 1],
        [0.9, 0.8, 0.7, 0.6],
        {
            "sample_f2": 1,
            "subset_accuracy": 1,
            "coverage": 4,
            "ranking_loss": np.nan,
            "label_ranking_average_precision": 1,
        },
    ),
}


@pytest.mark.parametrize("case", _BY_HAND)
def test_samples_worked_out_by_hand(case):
    labels, probabilities, expected = _BY_HAND[case]
    values = definitions.sample_values(
        np.array([labels], bool), np.array([probabilities], np.float32)
    )
    assert set(values) == set(definitions.SAMPLE_METRICS)
    for name, value in expected.items():
        np.testing.assert_allclose(
            values[name].numpy(), [value], rtol=1e-6, err_msg=name
        )


def test_classes_worked_out_by_hand():
    # Class 0: TP 2, FP 1, FN 1. Class 1: never predicted, FN 1. Class 2: does
    # not occur, FP 1. Class 3: neither.
    labels = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    probabilities = np.array(
        [
            [0.9, 0.1, 0.1, 0.1],
            [0.8, 0.1, 0.6, 0.1],
            [0.3, 0.1, 0.1, 0.1],
            [0.5, 0.1, 0.1, 0.1],
        ]
    )
    scores = exact.compute(labels, probabilities)
    nan = np.nan
    for name, expected in {
        "precision": [2 / 3, nan, 0, nan],
        "recall": [2 / 3, 0, nan, nan],
        "f1": [2 / 3, 0, 0, nan],
        "f2": [2 / 3, 0, 0, nan],
        "accuracy": [1 / 2, 0, 0, nan],
        "num_positives": [3, 1, 0, 0],
    }.items():
        np.testing.assert_allclose(scores.per_class[name], expected)
    assert scores.overall["macro_precision"] == pytest.approx(1 / 3)
    assert scores.overall["macro_f1"] == pytest.approx(2 / 9)
    # Pooled: TP 2, FP 2, FN 2.
    assert scores.overall["micro_f1"] == pytest.approx(1 / 2)
    assert scores.overall["micro_accuracy"] == pytest.approx(1 / 3)
    # The last sample has no label, so no pair to rank.
    assert scores.undefined == {
        "ranking_loss": 1,
        "macro_precision": 2,
        "macro_recall": 2,
        "macro_f1": 1,
        "macro_f2": 1,
        "macro_f0_5": 1,
        "macro_accuracy": 1,
        "macro_average_precision": 2,
    }


def test_threshold_may_differ_between_classes():
    labels = np.array([[1, 1]])
    probabilities = np.array([[0.4, 0.4]], np.float32)
    scores = exact.compute(labels, probabilities, threshold=[0.4, 0.5])
    assert scores.overall["sample_recall"] == 0.5
    assert exact.compute(labels, probabilities).overall["sample_recall"] == 0


@pytest.mark.parametrize("block_size", [1, 7, 300])
def test_blocks_do_not_change_the_answer(block_size, monkeypatch):
    labels, probabilities = _random_predictions()
    expected = exact.compute(labels, probabilities)
    monkeypatch.setattr(exact, "_BLOCK_SIZE", block_size)
    scores = exact.compute(labels, probabilities)
    assert scores.overall == pytest.approx(expected.overall, nan_ok=True)
    assert scores.undefined == expected.undefined


_PREDICTIONS = st.integers(1, 12).flatmap(
    lambda num_samples: st.tuples(
        hnp.arrays(bool, (num_samples, 5)),
        hnp.arrays(
            np.float32,
            (num_samples, 5),
            # Multiples of 1/128 are exact: no bin border is missed by a hair.
            elements=st.integers(0, 128).map(lambda step: step / 128),
        ),
        st.lists(st.integers(1, num_samples), max_size=4),
    )
)
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


@hypothesis.settings(deadline=None, max_examples=25)
@hypothesis.given(_PREDICTIONS)
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


@hypothesis.settings(deadline=None, max_examples=25)
@hypothesis.given(_PREDICTIONS, st.permutations(range(5)))
def test_permuted_classes_permute_the_answer(predictions, order):
    labels, probabilities, _ = predictions
    before = exact.compute(labels, probabilities)
    after = exact.compute(labels[:, order], probabilities[:, order])
    for name, values in before.per_class.items():
        np.testing.assert_allclose(after.per_class[name], values[order])
    # Among equally probable classes one_error takes the first by definition.
    for scores in (before, after):
        scores.overall.pop("one_error")
    assert after.overall == pytest.approx(before.overall, nan_ok=True)


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


@pytest.mark.parametrize("jit_compile", [False, True])
def test_streaming_metrics_run_in_fit(jit_compile):
    labels, probabilities = _random_predictions(num_classes=5)
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
    labels, probabilities = _random_predictions(num_classes=5)
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


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "Shapes do not fit"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "without a sample"),
        (np.full((1, 3), 2), np.zeros((1, 3)), "0 and 1 only"),
        (np.zeros((1, 3)), np.full((1, 3), np.nan), r"in \[0, 1\]"),
        (np.zeros((1, 3)), np.full((1, 3), 1.5), r"in \[0, 1\]"),
    ],
)
def test_unusable_arrays_are_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        exact.compute(labels, probabilities)


def test_unknown_metric_and_weights_are_refused():
    with pytest.raises(ValueError, match="Unknown metric"):
        streaming.streaming_metric("macro_luck", 5)
    metric = streaming.streaming_metric("micro_f1", 5)
    with pytest.raises(ValueError, match="sample weights"):
        metric.update_state(np.zeros((1, 5)), np.zeros((1, 5)), 1.0)
