"""What all networks share."""

import numpy as np
import pytest
import tensorflow as tf

from ben_tf.models import branches


def test_the_loss_does_not_saturate():
    """Cross-entropy is computed from the logits behind the probabilities."""
    x = tf.keras.Input((1,))
    model = tf.keras.Model(x, branches.classify(x, num_classes=1))
    model.get_layer("logits").set_weights([np.ones((1, 1)), np.zeros(1)])
    model.compile(loss=tf.keras.losses.BinaryCrossentropy())
    loss = model.evaluate(np.float32([[100]]), np.float32([[0]]), verbose=0)
    assert loss == pytest.approx(100.0)
