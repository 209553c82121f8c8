"""What `keras_internals` relies on holds in the Keras that is installed."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from ben_tf.training import fused_adam
from ben_tf.training import keras_internals


def _model(*layers: tf.keras.layers.Layer) -> tf.keras.Model:
    """Layers on vectors of 3 numbers, to 2 probabilities."""
    inputs = x = tf.keras.Input((3,))
    for layer in (*layers, tf.keras.layers.Dense(2, activation="sigmoid")):
        x = layer(x)
    return tf.keras.Model(inputs, x)


def _batches(count: int) -> tf.data.Dataset:
    random = np.random.default_rng(0)
    x = random.normal(size=(4 * count, 3)).astype(np.float32)
    y = (random.random((4 * count, 2)) < 0.5).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(4)


def test_running_loss_is_the_one_that_fit_reports():
    model = _model()
    model.compile("sgd", "binary_crossentropy")
    metric = keras_internals.running_loss(model)
    assert isinstance(metric, tf.keras.metrics.Metric)
    history = model.fit(_batches(3), verbose=0).history
    assert float(metric.result()) == pytest.approx(history["loss"][0])
    assert metric is keras_internals.running_loss(model)
    # Its state is all that a checkpoint must hold to resume the mean.
    total, count = (float(variable) for variable in metric.variables)
    assert total / count == pytest.approx(history["loss"][0])


def test_fit_takes_the_metrics_of_the_first_replica(monkeypatch):
    training = sys.modules[tf.keras.Model.__module__]
    reduce, reductions = training.reduce_per_replica, []

    def spy(values, strategy, reduction):
        reductions.append(reduction)
        return reduce(values, strategy, reduction=reduction)

    monkeypatch.setattr(training, "reduce_per_replica", spy)
    model = _model()
    model.compile("sgd", "binary_crossentropy")
    keras_internals.take_metrics_of_first_replica(model)
    model.fit(_batches(1), validation_data=_batches(1), verbose=0)
    assert len(reductions) >= 2
    assert set(reductions) == {"first"}


def test_random_generators_decide_what_dropout_drops():
    tf.keras.backend.experimental.enable_tf_random_generator()
    model = _model(tf.keras.layers.Dropout(0.5))
    (generator,) = keras_internals.random_generators(model)
    assert isinstance(generator, tf.random.Generator)
    dropout = tf.keras.Model(model.input, model.layers[1].output)
    ones = tf.ones((64, 3))
    state = tf.identity(generator.state)
    first = dropout(ones, training=True)
    assert np.any(dropout(ones, training=True) != first)
    generator.state.assign(state)
    np.testing.assert_array_equal(dropout(ones, training=True), first)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_cross_entropy_sees_the_logits(compiled):
    """Probabilities of 1 and 0 are rounded; their logits are 100 and -200."""
    logits = tf.constant([[100.0, -200.0]])
    labels = tf.constant([[0.0, 1.0]])

    @tf.function(jit_compile=compiled)
    def loss():
        probabilities = tf.keras.layers.Activation("sigmoid")(logits)
        return keras_internals.cross_entropy(labels, probabilities)

    np.testing.assert_allclose(loss(), [[100.0, 200.0]])


@pytest.mark.parametrize(
    "optimizer",
    [
        tf.keras.optimizers.Adam(),
        tf.keras.optimizers.legacy.Adam(),
        tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.Adam()),
    ],
    ids=["new", "older", "scaling"],
)
def test_slots_exist_before_the_first_step(optimizer):
    variable = tf.Variable([1.0, 2.0])
    keras_internals.create_slots(optimizer, [variable])

    def state():
        variables = optimizer.variables
        return variables() if callable(variables) else variables

    before = [id(x) for x in state()]
    assert sum(x.shape == variable.shape for x in state()) >= 2
    optimizer.apply_gradients([(tf.constant([1.0, 1.0]), variable)])
    assert [id(x) for x in state()] == before


def test_slots_of_addons_and_the_optimiser_inside_lookahead():
    addons = pytest.importorskip("tensorflow_addons")
    variable = tf.Variable([1.0, 2.0])
    adam = tf.keras.optimizers.legacy.Adam()
    lookahead = addons.optimizers.Lookahead(adam)
    keras_internals.create_slots(lookahead, [variable])
    found = {id(x) for x in keras_internals.optimizer_variables(lookahead)}
    assert {id(x) for x in adam.variables()} <= found
    assert id(adam.get_slot(variable, "m")) in found
    assert adam.get_slot(variable, "m").shape == variable.shape


@pytest.mark.parametrize(
    "optimizer",
    [
        fused_adam.FusedAdam(),
        tf.keras.optimizers.SGD(),
        tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.Adam()),
    ],
    ids=["adam", "sgd", "scaling"],
)
def test_variables_of_other_optimisers_are_listed_once(optimizer):
    keras_internals.create_slots(optimizer, [tf.Variable([1.0, 2.0])])
    found = [id(x) for x in keras_internals.optimizer_variables(optimizer)]
    assert found == [id(x) for x in optimizer.variables]


@pytest.mark.parametrize("scales", [False, True], ids=["plain", "scaling"])
def test_moving_averages_in_the_order_of_the_variables(scales):
    first, second = tf.Variable([1.0, 1.0]), tf.Variable([3.0])
    optimizer = tf.keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    if scales:
        optimizer = tf.keras.mixed_precision.LossScaleOptimizer(
            optimizer, dynamic=False, initial_scale=1.0
        )
    keras_internals.create_slots(optimizer, [first, second])
    gradients = [tf.constant([4.0, 8.0]), tf.constant([4.0])]
    optimizer.apply_gradients(zip(gradients, (first, second), strict=True))
    averages = keras_internals.moving_averages(optimizer)
    np.testing.assert_allclose(averages[0], [0.0, -1.0])
    np.testing.assert_allclose(averages[1], [2.0])


def test_no_averages_without_use_ema():
    optimizer = tf.keras.optimizers.SGD()
    keras_internals.create_slots(optimizer, [tf.Variable([1.0])])
    assert not keras_internals.moving_averages(optimizer)


def test_adam_moments_belong_to_the_variable():
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    optimizer = tf.keras.optimizers.Adam()
    keras_internals.create_slots(optimizer, variables)
    gradients = [tf.constant([2.0, 4.0]), tf.constant([[6.0]])]
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    for gradient, variable in zip(gradients, variables, strict=True):
        momentum, velocity = keras_internals.adam_moments(optimizer, variable)
        np.testing.assert_allclose(momentum, 0.1 * gradient, rtol=1e-5)
        np.testing.assert_allclose(velocity, 0.001 * gradient**2, rtol=1e-4)


def test_memory_of_gpus_is_known_where_there_are_some():
    found = keras_internals.gpu_memory_bytes()
    assert len(found) == len(tf.config.list_physical_devices("GPU"))
    assert all(num_bytes > 1 << 30 for num_bytes in found)
