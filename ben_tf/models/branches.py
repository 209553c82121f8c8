"""What all networks share: inputs, fusion of sensors, classification head.

Networks are functions from tensors to tensors. `embedding` is the feature
vector in front of the classifier, the one that retrieval compares.
"""

from collections.abc import Callable

import tensorflow as tf

from ben_tf.data import layer_names


def make_inputs(
    shapes: dict[str, tuple[int, int, int]],
) -> dict[str, tf.Tensor]:
    """One Keras input for each name -> (height, width, bands)."""
    return {
        name: tf.keras.Input(shape, name=name) for name, shape in shapes.items()
    }


def fuse_stacks(
    inputs: dict[str, tf.Tensor],
    *,
    backbone: Callable[..., tf.Tensor],
    fusion: str,
    name: str = "",
) -> tf.Tensor:
    """Runs a backbone on stacked inputs and fuses the sensors.

    Args:
      inputs: Standardised "s1" (B, 120, 120, 2), "s2" (B, 120, 120, 10), or one
        of them.
      backbone: Function (tensor, name=...) -> (B, D) features.
      fusion: "early" stacks the sensors, Sentinel-2 first as in the authors'
        code, in front of one backbone (paper, section III); "late" gives each
        sensor a backbone of its own and joins their features.
      name: Prefix of the names of layers after the backbones.

    Returns:
      (B, D) for one backbone, (B, 2 D) for two.
    """
    stacks: dict[str, tf.Tensor] = {
        sensor: inputs[sensor] for sensor in ("s2", "s1") if sensor in inputs
    }
    if fusion == "early" and len(stacks) > 1:
        join_bands = tf.keras.layers.Concatenate(name="stack")
        stacks = {"s2_s1": join_bands([*stacks.values()])}
    features = [backbone(x, name=stack) for stack, x in stacks.items()]
    return join(features, name=f"{name}fusion")


def fuse_grids(
    inputs: dict[str, tf.Tensor],
    *,
    branch: Callable[..., tf.Tensor],
    fusion: str,
    name: str,
) -> tf.Tensor:
    """Runs a branch on each native grid and joins their features.

    Args:
      inputs: Standardised grids (B, size, size, bands) by name.
      branch: Function (tensor, name=...) -> (B, D) features.
      fusion: "late": a branch for each grid; "early": S1 is stacked behind the
        10 m bands of Sentinel-2, whose grid it shares, as "s2_10m_s1".
      name: Prefix of the names of layers after the branches.

    Returns:
      (B, number of branches x D).
    """
    grids = dict(inputs)
    if fusion == "early" and {"s1", "s2_10m"} <= set(grids):
        grids["s2_10m_s1"] = tf.keras.layers.Concatenate(name="stack")(
            [grids.pop("s2_10m"), grids.pop("s1")]
        )
    features = [branch(grids[grid], name=grid) for grid in sorted(grids)]
    return join(features, name=f"{name}branches")


def join(features: list[tf.Tensor], *, name: str) -> tf.Tensor:
    """Concatenates feature vectors [(B, D1), (B, D2), ...]; one stays."""
    if len(features) == 1:
        return features[0]
    return tf.keras.layers.Concatenate(name=name)(features)


def share_space(
    features: dict[str, tf.Tensor], *, size: int, binary: bool
) -> tf.Tensor:
    """Maps the features of each sensor into one space.

    Args:
      features: Sensor -> (B, D) features, D as its backbone gives them.
      size: Dimensions of the space.
      binary: False: embeddings have length 1, so that products are cosines.
        True: they lie in (-1, 1) and their signs are a binary code.

    Returns:
      (B, size), the mean over the sensors. The layers "s1_embedding" and
      "s2_embedding" hold what one sensor alone gives.
    """
    embeddings = []
    for sensor, x in features.items():
        x = tf.keras.layers.Dense(size, name=f"{sensor.lower()}_projection")(x)
        name = layer_names.embedding_of(sensor)
        embeddings.append(
            tf.keras.layers.Activation("tanh", name=name)(x)
            if binary
            else tf.keras.layers.UnitNormalization(name=name)(x)
        )
    return tf.keras.layers.Average(name="mean_embedding")(embeddings)


def classify(
    embedding: tf.Tensor,
    *,
    num_classes: int,
    dropout: float = 0.0,
    normalise: bool = False,
) -> tf.Tensor:
    """Names the embedding and adds the classifier.

    Args:
      embedding: (B, D) features.
      num_classes: Number of labels, which do not exclude each other.
      dropout: Share of features to drop while training.
      normalise: Whether to bring features to a common scale first; those of a
        shared space are too small for the classifier to learn quickly.

    Returns:
      (B, num_classes) float32 probabilities.
    """
    x = tf.keras.layers.Activation("linear", name=layer_names.EMBEDDING)(
        embedding
    )
    if normalise:
        x = tf.keras.layers.BatchNormalization(name=layer_names.HEAD_NORM)(x)
    if dropout:
        x = tf.keras.layers.Dropout(dropout, name="head_dropout")(x)
    x = tf.keras.layers.Dense(num_classes, name=layer_names.LOGITS)(x)
    # float32 even where the network computes in half precision.
    return tf.keras.layers.Activation(
        "sigmoid", dtype="float32", name=layer_names.PROBABILITIES
    )(x)
