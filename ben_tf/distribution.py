"""From a flag to a tf.distribute strategy."""

import tensorflow as tf

from ben_tf import command_line


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the strategy that `--strategy` names.

    Args:
      name: "auto" mirrors the model over all GPUs, and takes the one device
        where there is no more; "one_device" takes the first GPU or the CPU;
        "mirrored" takes all GPUs, or all logical CPU devices; "tpu" the TPU
        that the environment names.

    Raises:
      UserError: No TPU.
      ValueError: Unknown name.
    """
    if name == "tpu":
        return _tpu_strategy()
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy(
            [device.name for device in devices]
        )
    if name in ("auto", "one_device"):
        return tf.distribute.OneDeviceStrategy(devices[0].name)
    raise ValueError(
        "Unknown strategy. Expected one of auto, one_device, mirrored, tpu. "
        f"Received: {name!r}"
    )


def _tpu_strategy() -> tf.distribute.Strategy:
    """Connects to the TPU and starts it."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise command_line.UserError(
            f"--strategy=tpu finds no TPU: {reason}. Expected a machine with "
            "one, or its address in the variable TPU_NAME. Use another "
            "--strategy elsewhere."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))
