"""The table of models, and `make_model`."""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.data import preprocessing as preprocessing_lib
from ben_tf.models import branches
from ben_tf.models import k_branch
from ben_tf.models import resnet
from ben_tf.models import small_cnn
from ben_tf.models import vgg

FUSIONS = ("late", "early", "shared")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network up to its features.

    Attributes:
      network: Function (inputs, fusion=..., name=...) -> (B, D) features.
      layout: One of `preprocessing.LAYOUTS`.
      upsampling: One of `preprocessing.UPSAMPLINGS`.
      head_dropout: Share of features to drop in front of the classifier.
    """

    network: Callable[..., tf.Tensor]
    layout: str
    upsampling: str = "cubic"
    head_dropout: float = 0.0


def _resnet(
    *num_units: int,
    layout: resnet.Layout = resnet.SLIM,
    upsampling: str = "cubic",
) -> Architecture:
    backbone = functools.partial(
        resnet.resnet, num_units=num_units, layout=layout
    )
    return Architecture(
        functools.partial(branches.fuse_stacks, backbone=backbone),
        layout="stacked",
        upsampling=upsampling,
    )


def _vgg(*num_convolutions: int) -> Architecture:
    backbone = functools.partial(vgg.vgg, num_convolutions=num_convolutions)
    return Architecture(
        functools.partial(branches.fuse_stacks, backbone=backbone),
        layout="stacked",
        head_dropout=vgg.HEAD_DROPOUT,
    )


MODELS = {
    "small_cnn": Architecture(small_cnn.small_cnn, layout="native"),
    "k_branch_cnn": Architecture(
        k_branch.k_branch_cnn,
        layout="native",
        head_dropout=k_branch.HEAD_DROPOUT,
    ),
    "vgg16": _vgg(2, 2, 3, 3, 3),
    "vgg19": _vgg(2, 2, 4, 4, 4),
    "resnet50": _resnet(3, 4, 6, 3),
    "resnet101": _resnet(3, 4, 23, 3),
    "resnet152": _resnet(3, 8, 36, 3),
    "timm_resnet50": _resnet(
        3, 4, 6, 3, layout=resnet.TIMM, upsampling="nearest"
    ),
    "timm_resnet101": _resnet(
        3, 4, 23, 3, layout=resnet.TIMM, upsampling="nearest"
    ),
}


def preprocessing_of(
    name: str,
    *,
    modality: str = "MM",
    bands_60m: bool | None = None,
    duplicate_vv: bool = False,
    statistics: bigearthnet.Statistics = bigearthnet.PAPER_STATISTICS,
) -> preprocessing_lib.Preprocessing:
    """The preprocessing that a model needs; arguments as in `Preprocessing`.

    Raises:
      ValueError: Unknown name or modality.
    """
    return preprocessing_lib.Preprocessing(
        modality=modality,
        layout=_architecture(name).layout,
        bands_60m=bands_60m,
        duplicate_vv=duplicate_vv,
        statistics=statistics,
        upsampling=_architecture(name).upsampling,
    )


def _check_keras() -> None:
    """Refuses Keras 3, which saves and trains these models differently.

    Raises:
      errors.UserError: TensorFlow chose it before it could be told otherwise.
    """
    # Keras 2 does not say.
    version = getattr(tf.keras, "__version__", "2")
    if not version.startswith("2"):
        raise errors.UserError(
            f"tf.keras is Keras {version} in this program, since it was used "
            "before ben_tf was imported. Expected Keras 2: import ben_tf "
            "first, or set the variable TF_USE_LEGACY_KERAS=1."
        )


def make_model(
    name: str,
    *,
    modality: str | None = None,
    fusion: str = "late",
    num_classes: int = 19,
    preprocessing: preprocessing_lib.Preprocessing | None = None,
    embedding_size: int = 128,
    binary_embedding: bool = False,
) -> tf.keras.Model:
    """Builds a functional model with new weights.

    Args:
      name: One of `MODELS`.
      modality: "S1", "S2" or "MM" (the default).
      fusion: "late": a branch for each sensor; "early": one stack; "shared": a
        branch for each sensor, and both end in one space, in which a patch can
        be looked up by either sensor.
      num_classes: 19 or 43.
      preprocessing: From `preprocessing_of`, in place of `modality`, for other
        bands than the authors chose.
      embedding_size: Dimensions of the shared space; other fusions take the
        features as the network gives them.
      binary_embedding: Whether the signs of a shared embedding are a code.

    Returns:
      A model from what the preprocessing returns to (B, num_classes) float32
      probabilities, with the layers of `data.layer_names`: "embedding" (B, D),
      "logits" and "probabilities"; with a shared space also "s1_embedding" and
      "s2_embedding" (B, D).

    Raises:
      ValueError: Unknown name, modality or fusion, a shared space for one
        sensor, or preprocessing for another model.
    """
    _check_keras()
    architecture = _architecture(name)
    if preprocessing is None:
        preprocessing = preprocessing_of(name, modality=modality or "MM")
    elif modality or preprocessing.layout != architecture.layout:
        raise ValueError(
            f"Expected preprocessing for {name}, from `preprocessing_of`, and "
            f"no modality next to it. Received: {preprocessing}, "
            f"modality={modality!r}"
        )
    if fusion not in FUSIONS:
        raise errors.unknown("fusion", fusion, FUSIONS)
    if fusion == "shared" and preprocessing.modality != "MM":
        raise ValueError(
            "Expected modality='MM' with fusion='shared', which maps both "
            f"sensors into one space. Received: {preprocessing}"
        )
    inputs = branches.make_inputs(preprocessing.input_shapes)
    if fusion == "shared":
        features = {
            sensor: architecture.network(
                {x: inputs[x] for x in preprocessing.of(sensor).input_shapes},
                fusion="late",
                name=f"{sensor.lower()}_",
            )
            for sensor in bigearthnet.MODALITIES["MM"]
        }
        embedding = branches.share_space(
            features, size=embedding_size, binary=binary_embedding
        )
    else:
        embedding = architecture.network(inputs, fusion=fusion)
    probabilities = branches.classify(
        embedding,
        num_classes=num_classes,
        dropout=architecture.head_dropout,
        normalise=fusion == "shared",
    )
    return tf.keras.Model(inputs, probabilities, name=name)


def _architecture(name: str) -> Architecture:
    if name not in MODELS:
        raise errors.unknown("model", name, MODELS)
    return MODELS[name]
