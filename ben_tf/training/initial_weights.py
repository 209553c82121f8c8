"""Where training starts: ImageNet weights, another run, or one a sensor.

The paper's column "ImageNet" (Table I) takes both steps: the final layer of a
network with ImageNet weights is trained on each sensor by itself, then the two
are fused late. What the paper leaves open is decided here: how the stem takes
bands that are not red, green or blue, and how the fusion begins.
"""

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.data import layer_names
from ben_tf.data import preprocessing
from ben_tf.training import checkpoints
from ben_tf.training import configured_model
from ben_tf.training import slim_checkpoint

_CACHE = "~/.keras/models"
_URL = "http://download.tensorflow.org/models/{}_2016_08_28.tar.gz"
# Standard deviation of ImageNet's pixels, 0 to 255, red, green and blue. The
# networks were trained on pixels less their mean, ours take bands of standard
# deviation 1.
_IMAGENET_STD = np.array([58.393, 57.12, 57.375], np.float32)
_RGB = ("B04", "B03", "B02")


def load_initial_weights(
    model: tf.keras.Model, config: config_lib.Config
) -> None:
    """Loads the weights that training starts from into a new model.

    Args:
      model: From `configured_model.make_model(config)`.
      config: What to train; says where weights come from, if from anywhere.

    Raises:
      UserError: No ImageNet weights where they were looked for, damaged ones,
        or workdirs that do not fit.
    """
    if config.branch_workdirs:
        _fuse_branches(model, config)
    elif config.initial_workdir:
        _copy_run(model, config)
    elif config.initial_weights == "imagenet":
        _load_imagenet(model, config)


def adapt_stem(kernel: np.ndarray, bands: tuple[str, ...]) -> np.ndarray:
    """Turns a first kernel for red, green and blue into one for other bands.

    B04, B03 and B02 keep their slices, every other band gets the mean of the
    three. All are scaled to standardised bands and by 3 / bands, so that an
    image whose bands are all alike gives what the same grey image gave.

    Args:
      kernel: (height, width, 3, filters), for pixels 0 to 255 less their mean.
      bands: Names of the new bands.

    Returns:
      (height, width, bands, filters) float32.
    """
    kernel = kernel * _IMAGENET_STD[:, np.newaxis]
    mean = kernel.mean(axis=2)
    slices = [
        kernel[:, :, _RGB.index(band)] if band in _RGB else mean
        for band in bands
    ]
    return np.stack(slices, axis=2) * np.float32(len(_RGB) / len(bands))


def _load_imagenet(model: tf.keras.Model, config: config_lib.Config) -> None:
    """Reads TF-Slim's weights into every backbone."""
    path = _find_imagenet(config)
    stem = slim_checkpoint.stem_name(model.name)
    for backbone in ("s1", "s2", "s2_s1"):
        variables = slim_checkpoint.backbone_variables(model, backbone=backbone)
        if not variables:
            continue
        shapes = {name: tuple(x.shape) for name, x in variables.items()}
        height, width, num_bands, filters = shapes[stem]
        shapes[stem] = (height, width, len(_RGB), filters)
        values = slim_checkpoint.read_backbone(path, model.name, shapes)
        s1 = bigearthnet.S1_BANDS if backbone.endswith("s1") else ()
        # The 60 m bands, which may be missing, are the last of Sentinel-2.
        s2 = preprocessing.S2_STACK_BANDS[: num_bands - len(s1)]
        values[stem] = adapt_stem(values[stem], (*s2, *s1))
        slim_checkpoint.assign(variables, values)


def _find_imagenet(config: config_lib.Config) -> pathlib.Path:
    """The file that was named, or the one in Keras' cache."""
    name = slim_checkpoint.network_name(config.model)
    cached = pathlib.Path(_CACHE).expanduser() / f"{name}.ckpt"
    path = pathlib.Path(config.imagenet_weights or cached).expanduser()
    if path.suffix in (".h5", ".keras"):
        raise errors.UserError(
            f"{path} is a file of Keras, whose ResNets halve the image in "
            "other layers than the paper's and whose VGGs end in other layers. "
            f"Expected TF-Slim's {name}.ckpt, from {_URL.format(name)}."
        )
    if not path.exists() and not path.with_name(f"{path.name}.index").exists():
        raise errors.UserError(
            f"No ImageNet weights for {config.model} in {path}. Download "
            f"{_URL.format(name)}, unpack {name}.ckpt from it to {cached}, or "
            "name it with `imagenet_weights=PATH`."
        )
    return path


def trained_on(
    config: config_lib.Config,
) -> list[workdir_lib.DataDescription]:
    """What the initial weights saw of BigEarthNet.

    Raises:
      UserError: `branch_workdirs` or `initial_workdir` names a folder without
        a run.
    """
    folders = [config.initial_workdir] if config.initial_workdir else []
    if config.branch_workdirs:
        folders = _branch_folders(config)
    runs = [workdir_lib.Workdir(folder) for folder in folders]
    for run in runs:
        run.read_config()  # Says what is wrong with a folder without a run.
    return [run.read_data() for run in runs]


def _branch_folders(config: config_lib.Config) -> list[str]:
    """The workdirs of Sentinel-1 and of Sentinel-2."""
    folders = [x.strip() for x in config.branch_workdirs.split(",")]
    if len(folders) != 2:
        raise errors.UserError(
            "Invalid `branch_workdirs`. Expected two workdirs, of Sentinel-1 "
            f"and Sentinel-2: FOLDER,FOLDER. Received: "
            f"{config.branch_workdirs!r}"
        )
    return folders


def _fuse_branches(model: tf.keras.Model, config: config_lib.Config) -> None:
    """Joins two networks; their classifiers begin as the mean of logits."""
    heads = {}
    folders = _branch_folders(config)
    for sensor, folder in zip(("S1", "S2"), folders, strict=True):
        branch = _read_branch(sensor, folder, config)
        for layer in branch.layers:
            if layer.weights and layer.name != layer_names.LOGITS:
                model.get_layer(layer.name).set_weights(layer.get_weights())
        heads[sensor] = branch.get_layer(layer_names.LOGITS).get_weights()
    # The order of `branches.fuse_stacks`: Sentinel-2 first.
    kernels, biases = zip(heads["S2"], heads["S1"], strict=True)
    model.get_layer(layer_names.LOGITS).set_weights(
        [np.concatenate(kernels) / 2, np.mean(biases, axis=0)]
    )


def _read_branch(
    sensor: str, folder: str, config: config_lib.Config
) -> tf.keras.Model:
    """The network of one sensor with its best weights."""
    # An option of the other sensor does not matter.
    own_option = {"S1": "duplicate_vv", "S2": "bands_60m"}[sensor]
    same = ("model", "num_classes", "statistics", own_option)
    return _read_run(
        folder,
        {"modality": sensor} | {name: getattr(config, name) for name in same},
        "of `branch_workdirs` does not fit",
        "Name those of Sentinel-1 and Sentinel-2, in this order, trained with "
        "the same options.",
    )


def _what_makes_it(config: config_lib.Config) -> list[str]:
    """Fields that make the network, and what its weights look at.

    What is of another sensor, or of another fusion, does not matter.
    """
    names = ["model", "modality", "num_classes", "statistics"]
    if config.modality != "S1":
        names.append("bands_60m")
    if config.modality != "S2":
        names.append("duplicate_vv")
    if config.modality == "MM":
        names.append("fusion")
    if config.fusion == "shared":
        names += ["embedding_size", "hash_bits"]
    return names


def _copy_run(model: tf.keras.Model, config: config_lib.Config) -> None:
    """Takes all weights of another run's network."""
    start = _read_run(
        config.initial_workdir,
        {name: getattr(config, name) for name in _what_makes_it(config)},
        "of `initial_workdir` holds another network",
        "Train with the options of that run, or start from another one.",
    )
    for layer in start.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())


def _read_run(
    folder: str,
    expected: Mapping[str, object],
    fault: str,
    remedy: str,
) -> tf.keras.Model:
    """The network of a run with its best weights, if its options are these."""
    workdir = workdir_lib.Workdir(folder)
    run_config = workdir.read_config()
    wrong = [
        f"`{name}={getattr(run_config, name)}`, expected {value}"
        for name, value in expected.items()
        if getattr(run_config, name) != value
    ]
    if wrong:
        raise errors.UserError(
            f"The workdir {folder} {fault}: {'; '.join(wrong)}. {remedy}"
        )
    model = configured_model.make_model(run_config)
    checkpoints.restore_best(workdir, model)
    return model
