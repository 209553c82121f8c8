"""Networks of few operations, for tests in which any network does.

What such a test costs is the time to trace a step, and to start a process.
"""

import tensorflow as tf

from ben_tf import models


def smooth(inputs, *, fusion, name=""):
    """Gives the same whether one device trains it or several.

    No batch normalisation, whose statistics are those of a device's part of the
    batch, and no dropout, which each device draws anew.
    """
    del fusion
    return tf.keras.layers.Dense(16, activation="tanh", name=f"{name}dense")(
        _coarse(inputs, name)
    )


def stateful(inputs, *, fusion, name=""):
    """Running statistics, and a generator of random numbers."""
    del fusion
    x = tf.keras.layers.BatchNormalization(name=f"{name}bn")(
        _coarse(inputs, name)
    )
    x = tf.keras.layers.Dropout(0.5, name=f"{name}dropout")(x)
    return tf.keras.layers.Dense(16, activation="relu", name=f"{name}dense")(x)


def _coarse(inputs, name):
    """Means of 100 by 100 m of all grids, in one vector."""
    features = []
    for grid, x in sorted(inputs.items()):
        size = max(1, x.shape[1] // 12)
        x = tf.keras.layers.AveragePooling2D(size, name=f"{grid}_pool")(x)
        features.append(tf.keras.layers.Flatten(name=f"{grid}_flat")(x))
    if len(features) == 1:
        return features[0]
    return tf.keras.layers.Concatenate(name=f"{name}grids")(features)


def install(network) -> None:
    """Puts a network in the place of small_cnn."""
    models.MODELS["small_cnn"] = models.Architecture(network, layout="native")
