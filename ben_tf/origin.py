"""When and with what something was made: on every page and in every file."""

import datetime

import msgspec

import ben_tf

_SHOWN_DIGITS = 12


class Origin(msgspec.Struct, frozen=True):
    """When and with what something was computed.

    Attributes:
      date: UTC, ISO 8601.
      version: Of this package.
      tensorflow: Version of TensorFlow.
      device: What TensorFlow computed on.
    """

    date: str
    version: str
    tensorflow: str
    device: str

    def __str__(self) -> str:
        return (
            f"{self.date} by ben_tf {self.version}, TensorFlow "
            f"{self.tensorflow}, {self.device}"
        )


def here_and_now() -> Origin:
    """The origin of what this process computes with TensorFlow now."""
    # What only shows an origin needs no TensorFlow.
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU")
    device = "CPU"
    if devices:
        details = tf.config.experimental.get_device_details(
            tf.config.list_physical_devices("GPU")[0]
        )
        device = f"{len(devices)} x {details.get('device_name', 'GPU')}"
    return Origin(
        date=date(),
        version=ben_tf.__version__,
        tensorflow=tf.__version__,
        device=device,
    )


def short(fingerprint: str) -> str:
    """The first digits of a fingerprint, enough to tell two apart."""
    return fingerprint[:_SHOWN_DIGITS]


def date() -> str:
    """The current second, UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def software() -> str:
    """This package and its version."""
    return f"ben_tf {ben_tf.__version__}"
