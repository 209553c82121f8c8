"""The table of models, and `make_model`."""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from ben_tf import preprocessing
from ben_tf.models import branches
from ben_tf.models import k_branch
from ben_tf.models import resnet
from ben_tf.models import vgg

FUSIONS = ("late", "early")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network and the layout of its inputs.

    Attributes:
      network: Function (inputs, fusion=..., num_classes=...) -> probabilities.
      layout: One of `preprocessing.LAYOUTS`.
    """

    network: Callable[..., tf.Tensor]
    layout: str


def _resnet(*num_units: int) -> Architecture:
    return Architecture(
        functools.partial(resnet.resnet, num_units=num_units), layout="stacked"
    )


def _vgg(*num_convolutions: int) -> Architecture:
    return Architecture(
        functools.partial(vgg.vgg, num_convolutions=num_convolutions),
        layout="stacked",
    )


MODELS = {
    "k_branch_cnn": Architecture(k_branch.k_branch_cnn, layout="native"),
    "vgg16": _vgg(2, 2, 3, 3, 3),
    "vgg19": _vgg(2, 2, 4, 4, 4),
    "resnet50": _resnet(3, 4, 6, 3),
    "resnet101": _resnet(3, 4, 23, 3),
    "resnet152": _resnet(3, 8, 36, 3),
}


def make_model(
    name: str,
    *,
    modality: str = "MM",
    fusion: str = "late",
    num_classes: int = 19,
) -> tf.keras.Model:
    """Builds a functional model with new weights.

    Args:
      name: One of `MODELS`.
      modality: "S1", "S2" or "MM".
      fusion: "late" (a branch for each sensor) or "early" (one stack).
      num_classes: 19 or 43.

    Returns:
      A model from what `preprocessing.to_model_inputs` returns to (B,
      num_classes) float32 probabilities, with layers "embedding" (B, D),
      "logits" and "probabilities".

    Raises:
      ValueError: Unknown name, modality or fusion.
    """
    if name not in MODELS or fusion not in FUSIONS:
        raise ValueError(
            f"Expected a model of {tuple(MODELS)} and a fusion of {FUSIONS}. "
            f"Received: {name!r}, fusion={fusion!r}"
        )
    architecture = MODELS[name]
    inputs = branches.make_inputs(
        preprocessing.model_input_shapes(architecture.layout, modality=modality)
    )
    outputs = architecture.network(
        inputs, fusion=fusion, num_classes=num_classes
    )
    return tf.keras.Model(inputs, outputs, name=name)
