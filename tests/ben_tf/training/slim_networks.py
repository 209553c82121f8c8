"""TF-Slim's own networks as an oracle: they write real TF1 checkpoints."""

import contextlib
import functools
import importlib
import os
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import models
from ben_tf.models import branches
from ben_tf.models import resnet
from ben_tf.models import vgg as our_vgg

# Both of Keras 2's homes; TF-Slim's layers reach for the old place of a part
# that has moved since.
_LEGACY = f"{tf.keras.Model.__module__.split('.')[0]}.src.legacy_tf_layers"
for _part in ("", ".base", ".convolutional", ".core", ".normalization"):
    for _home in ("keras", "tf_keras"):
        sys.modules.setdefault(
            f"{_home}.legacy_tf_layers{_part}",
            importlib.import_module(_LEGACY + _part),
        )

import tf_slim  # noqa: E402
from tf_slim.nets import resnet_v1  # noqa: E402
from tf_slim.nets import vgg  # noqa: E402

_VGG_FILTERS = (64, 128, 256, 512, 512)


@contextlib.contextmanager
def small():
    """Makes both sides' ResNets shallow and VGGs narrow.

    The table of models knows them by the names of the large ones.
    """
    make_block = resnet_v1.resnet_v1_block
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(
            resnet_v1,
            "resnet_v1_block",
            lambda scope, base_depth, num_units, stride: make_block(
                scope, base_depth, 1, stride
            ),
        )
        backbone = functools.partial(resnet.resnet, num_units=(1, 1, 1, 1))
        shallow = models.Architecture(
            functools.partial(branches.fuse_stacks, backbone=backbone),
            layout="stacked",
        )
        for name in ("resnet50", "resnet101"):
            patches.setitem(models.MODELS, name, shallow)
        narrow = (4, 8, 8, 16, 16)
        patches.setattr(our_vgg, "_FILTERS", narrow)
        patches.setattr(sys.modules[__name__], "_VGG_FILTERS", narrow)
        yield


def logits(name: str, images: tf.Tensor, *, num_classes: int) -> tf.Tensor:
    """(B, 120, 120, bands) -> (B, classes), as the authors call TF-Slim."""
    if name.startswith("resnet"):
        network = getattr(resnet_v1, f"resnet_v1_{name.removeprefix('resnet')}")
        with tf_slim.arg_scope(resnet_v1.resnet_arg_scope()):
            x, _ = network(images, num_classes, is_training=False)
        return tf.squeeze(x, [1, 2])
    # The released package has no global_pool and no fc_conv_padding yet, so
    # its VGG is put together here from its own layers.
    repeats = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}[name]
    x = images
    with (
        tf_slim.arg_scope(vgg.vgg_arg_scope()),
        tf.compat.v1.variable_scope(name.replace("vgg", "vgg_")),
    ):
        for i, (repeat, filters) in enumerate(
            zip(repeats, _VGG_FILTERS, strict=True), start=1
        ):
            x = tf_slim.repeat(
                x, repeat, tf_slim.conv2d, filters, [3, 3], scope=f"conv{i}"
            )
            x = tf_slim.max_pool2d(x, [2, 2], scope=f"pool{i}")
        x = tf_slim.conv2d(x, 4096, [7, 7], scope="fc6")
        x = tf_slim.conv2d(x, 4096, [1, 1], scope="fc7")
        x = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
        x = tf_slim.conv2d(
            x, num_classes, [1, 1], activation_fn=None, scope="fc8"
        )
    return tf.squeeze(x, [1, 2])


def variables(name: str, *, num_bands: int, num_classes: int) -> dict:
    """Name -> shape of all variables, without making any."""
    with tf.Graph().as_default():
        _network(name, num_bands=num_bands, num_classes=num_classes)
        return {
            x.op.name: tuple(x.shape) for x in tf.compat.v1.global_variables()
        }


def save(
    prefix: pathlib.Path,
    name: str,
    images: np.ndarray,
    *,
    num_classes: int,
    first_format: bool = False,
) -> np.ndarray:
    """Writes a checkpoint with random weights, slots of Adam and a step.

    Args:
      prefix: Where to write.
      name: Such as "resnet50".
      images: (B, 120, 120, bands) float32, what to answer for.
      num_classes: Width of the classifier.
      first_format: Whether to write the single file of TensorFlow's first
        format, that of TF-Slim's ImageNet weights.

    Returns:
      (B, classes) logits.
    """
    random = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(0)
        inputs, outputs = _network(
            name, num_bands=images.shape[-1], num_classes=num_classes
        )
        network = tf.compat.v1.global_variables()
        tf.compat.v1.train.get_or_create_global_step()
        # The slots of a real training, of the classifier's bias alone.
        bias = [x for x in network if x.op.name.endswith("biases")][-1:]
        tf.compat.v1.train.AdamOptimizer().minimize(
            tf.reduce_sum(bias[0]), var_list=bias
        )
        session.run(tf.compat.v1.global_variables_initializer())
        for variable in network:
            if "BatchNorm" in variable.op.name or "biases" in variable.op.name:
                value = random.uniform(0.5, 1.5, variable.shape)
                variable.load(value.astype(np.float32), session)
        version = (
            tf.compat.v1.train.SaverDef.V1
            if first_format
            else tf.compat.v1.train.SaverDef.V2
        )
        tf.compat.v1.train.Saver(write_version=version).save(
            session, os.fspath(prefix), write_meta_graph=not first_format
        )
        return session.run(outputs, {inputs: images})


def _network(name, *, num_bands, num_classes):
    inputs = tf.compat.v1.placeholder(tf.float32, (None, 120, 120, num_bands))
    return inputs, logits(name, inputs, num_classes=num_classes)
