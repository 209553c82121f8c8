"""From a flag to a tf.distribute strategy."""

import tensorflow as tf


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the strategy that `--strategy` names.

    Args:
      name: "auto" mirrors the model over all GPUs, and takes the one device
        where there is no more; "one_device" takes the first GPU or the CPU;
        "mirrored" takes all GPUs, or all logical CPU devices.

    Raises:
      ValueError: Unknown name.
    """
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy(
            [device.name for device in devices]
        )
    if name in ("auto", "one_device"):
        return tf.distribute.OneDeviceStrategy(devices[0].name)
    raise ValueError(
        "Unknown strategy. Expected one of auto, one_device, mirrored. "
        f"Received: {name!r}"
    )


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))
