"""Reads the features of a record; the mirror of `record`.

Worker processes do so, which do not load TensorFlow.
"""

from collections.abc import Mapping
from collections.abc import Sequence

from google.protobuf import message

from ben_tf import bigearthnet
from ben_tf.archive import layout
from tfrecords_builder import tfds_internals

# Feature -> (kind of its list, number of values; None: any number).
_FEATURES: Mapping[str, tuple[str, int | None]] = {
    **{
        name: ("bytes_list", 1)
        for name in (
            *("patch_name", "s1_name", "s1_time", "s2_time"),
            *bigearthnet.GRIDS,
        )
    },
    **{f"labels_{num}": ("int64_list", None) for num in bigearthnet.CLASSES},
    **{
        name: ("int64_list", 1)
        for name in (
            *("country", "season", "seasonal_snow", "cloud_or_shadow"),
            "epsg",
        )
    },
    "upper_left": ("float_list", 2),
}
# Version of BigEarthNet -> all features of its records.
_OF_VERSION: Mapping[str, Mapping[str, tuple[str, int | None]]] = {
    layout.V1.version: _FEATURES,
    layout.OWN.version: _FEATURES,
    layout.V2.version: {
        **_FEATURES,
        "v1_name": ("bytes_list", 1),
        "reference_map": ("bytes_list", 1),
    },
}


def parse(data: bytes, version: str) -> dict[str, Sequence]:
    """Returns the features of a serialized example: name -> its values.

    Args:
      data: The example.
      version: Key of `layout.LAYOUTS`, whose features are expected.

    Raises:
      ValueError: It is no example, or not one with the features of a pair; the
        message is a sentence without its subject.
    """
    try:
        features = tfds_internals.parse_example(data).features.feature
    except message.DecodeError as error:
        raise ValueError("is not a serialized tf.train.Example.") from error
    expected = _OF_VERSION[version]
    if features.keys() != expected.keys():
        odd = sorted(features.keys() ^ expected.keys())
        raise ValueError(
            f"has other features than a pair. Expected {sorted(expected)}. "
            f"Missing or surplus: {str(odd)[:200]}."
        )
    values = {}
    for name, (kind, number) in expected.items():
        values[name] = getattr(features[name], kind).value
        if number not in (None, len(values[name])):
            raise ValueError(
                f"has an unusable {name}. Expected {number} of {kind}. "
                f"Received: {len(values[name])}."
            )
    return values
