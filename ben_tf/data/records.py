"""From serialized records to arrays, a batch at once.

Only the arrays that a model needs are parsed. `tf.io.parse_example` and
`decode_raw` on a batch are two to three times faster than decoding record by
record. What is parsed is checked: a NaN would train a network into NaN, which
ReLU hides as 0.
"""

import contextlib
import math
import re
from collections.abc import Iterator
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.data import patch_table
from ben_tf.data import tfrecord_files

_SCALAR = {
    "patch_name": tf.string,
    "s1_name": tf.string,
    "v1_name": tf.string,
    "s1_time": tf.string,
    "s2_time": tf.string,
    "country": tf.int64,
    "season": tf.int64,
    "seasonal_snow": tf.int64,
    "cloud_or_shadow": tf.int64,
    "epsg": tf.int64,
}
# Smallest and largest value of what is looked up later.
_RANGES = {
    "country": (bigearthnet.UNKNOWN, len(bigearthnet.COUNTRIES) - 1),
    "season": (bigearthnet.UNKNOWN, len(bigearthnet.SEASONS) - 1),
    "epsg": bigearthnet.UTM_EPSG,
}
_BEGIN, _END = "unusable records: ", " (end of records)"
_MOST_NAMED = 5


def parse_batch(
    serialized: tf.Tensor,
    *,
    grids: Sequence[str],
    num_classes: int,
    metadata: Sequence[str] = (),
) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
    """Parses (B,) records; see `input_pipeline.native_batches`.

    Reading on fails with a `tf.errors.InvalidArgumentError` if a record holds
    NaN or infinite dB, a grid of another size, a label that is not of the
    nomenclature, or a name or number that cannot be looked up;
    `explained_errors` turns it into a sentence that names the patches.
    """
    labels_name = f"labels_{num_classes}"
    scalars = dict.fromkeys(["patch_name", *metadata])
    spec = {name: tf.io.FixedLenFeature((), tf.string) for name in grids}
    spec[labels_name] = tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
    for name in scalars:
        spec[name] = (
            tf.io.FixedLenFeature((2,), tf.float32)
            if name == "upper_left"
            else tf.io.FixedLenFeature((), _SCALAR[name])
        )
    features = tf.io.parse_example(serialized, spec)
    labels = features[labels_name]
    faults = {
        f"{name} of another size": tf.strings.length(features[name])
        != _num_bytes(name)
        for name in grids
    }
    faults[f"a label outside 0 to {num_classes - 1}"] = _any_in_row(
        (labels.values < 0) | (labels.values >= num_classes), labels
    )
    faults["a name that is not one of a patch"] = ~tf.strings.regex_full_match(
        features["patch_name"], bigearthnet.PATCH_NAME
    )
    faults |= {
        f"an impossible {name}": (features[name] < low)
        | (features[name] > high)
        for name, (low, high) in _RANGES.items()
        if name in scalars
    }
    # Sizes and labels first: what follows cannot be computed of others.
    with tf.control_dependencies([_refuse(features["patch_name"], faults)]):
        inputs = {name: _decode(features[name], name) for name in grids}
        hot = _multi_hot(labels, num_classes)
    not_finite = {
        f"NaN or infinite {name}": ~_all_finite(values)
        for name, values in [*inputs.items(), *features.items()]
        if name in (*grids, "upper_left") and values.dtype.is_floating
    }
    if not_finite:
        check = _refuse(features["patch_name"], not_finite)
        with tf.control_dependencies([check]):
            inputs = tf.nest.map_structure(tf.identity, inputs)
    batch = {name: features[name] for name in metadata}
    if "upper_left" in batch:
        # TFDS stores floats as float32, which holds whole metres exactly.
        batch["upper_left"] = tf.cast(batch["upper_left"], tf.float64)
    batch["inputs"] = inputs
    batch["labels"] = hot
    return batch


def check_name(serialized: tf.Tensor, expected: tf.Tensor) -> tf.Tensor:
    """Passes a record on that bears the name that the table of patches says.

    Reading on fails as in `parse_batch` where the table is of other records.

    Args:
      serialized: () record.
      expected: () name of its patch.
    """
    spec = {"patch_name": tf.io.FixedLenFeature((), tf.string)}
    name = tf.io.parse_single_example(serialized, spec)["patch_name"]
    fault = f"the place of another patch in {patch_table.FILE_NAME}"
    check = _refuse(name[tf.newaxis], {fault: (name != expected)[tf.newaxis]})
    with tf.control_dependencies([check]):
        return tf.identity(serialized)


def _decode(values: tf.Tensor, grid_name: str) -> tf.Tensor:
    """(B,) bytes -> (B, size, size, bands)."""
    grid = bigearthnet.GRIDS[grid_name]
    flat = tf.io.decode_raw(values, tf.as_dtype(grid.dtype))
    return tf.reshape(flat, (-1, *grid.shape))


def _multi_hot(labels: tf.RaggedTensor, num_classes: int) -> tf.Tensor:
    """Ragged (B, None) class indices -> (B, num_classes) float32 of 0 and 1."""
    rows = labels.value_rowids()
    indices = tf.stack([rows, labels.values], axis=1)
    shape = tf.stack([labels.nrows(), tf.constant(num_classes, tf.int64)])
    hot = tf.scatter_nd(indices, tf.ones_like(labels.values, tf.float32), shape)
    # The batch size is known to XLA only if it is restored after scatter_nd.
    return tf.ensure_shape(tf.minimum(hot, 1.0), (None, num_classes))


def _num_bytes(grid_name: str) -> int:
    """Size of a grid in a record."""
    grid = bigearthnet.GRIDS[grid_name]
    return math.prod(grid.shape) * tf.as_dtype(grid.dtype).size


# --- Checks ----------------------------------------------------------------


def _all_finite(values: tf.Tensor) -> tf.Tensor:
    """(B, ...) floats -> (B,) bool."""
    # NaN and infinity stay in a sum, which is read in one pass. A product with
    # 0, the usual trick, is optimized away where shapes are known.
    flat = tf.reshape(values, (tf.shape(values)[0], -1))
    return tf.math.is_finite(tf.reduce_sum(flat, axis=1))


def _any_in_row(flags: tf.Tensor, ragged: tf.RaggedTensor) -> tf.Tensor:
    """Flags of all values of a ragged tensor -> (B,) whether one is set."""
    return tf.reduce_any(ragged.with_values(flags), axis=1)


def _refuse(names: tf.Tensor, faults: dict[str, tf.Tensor]) -> tf.Operation:
    """Fails, with the names, where one of the faults holds for a record.

    Args:
      names: (B,) names of the patches.
      faults: What a record would hold -> (B,) bool.
    """
    # Names may be damaged, too; the message has to be text.
    names = tf.strings.unicode_transcode(names, "UTF-8", "UTF-8", "replace", 63)
    found = []
    for what, is_fault in faults.items():
        concerned = tf.boolean_mask(names, is_fault)[:_MOST_NAMED]
        found.append(concerned + f" holds {what}")
    text = tf.strings.reduce_join(tf.concat(found, 0), separator=", ")
    is_well = ~tf.reduce_any(tf.stack(list(faults.values())))
    return tf.debugging.Assert(is_well, [_BEGIN + text + _END])


@contextlib.contextmanager
def explained_errors(builder: tfds.core.DatasetBuilder) -> Iterator[None]:
    """Says in one sentence what is wrong with the records that are read.

    Raises:
      UserError: A record holds what it must not, or a file of records is
        missing, cut off or damaged.
    """
    try:
        yield
    except (
        tf.errors.DataLossError,
        tf.errors.FailedPreconditionError,
        tf.errors.InvalidArgumentError,
        tf.errors.NotFoundError,
    ) as error:
        try:
            found = _what_is_wrong(str(error), builder)
        except errors.ArchiveError as fault:
            found = str(fault)
        if found is None:
            raise
        raise errors.UserError(
            f"{found} python -m tfrecords_builder.verify --data_dir=... lists "
            "all that is wrong with a dataset; python -m "
            "tfrecords_builder.build --overwrite builds it anew from the "
            "archive, and keeps the old one until then."
        ) from error


def _what_is_wrong(
    message: str, builder: tfds.core.DatasetBuilder
) -> str | None:
    """What TensorFlow says of records; None if it speaks of something else.

    Raises:
      errors.ArchiveError: A file is at fault.
    """
    place = f"The dataset in {builder.data_path} has unusable records: "
    if match := re.search(
        re.escape(_BEGIN) + "(.*?)" + re.escape(_END), message, re.DOTALL
    ):
        return f"{place}{match[1]}."
    if "ParseExample" in message:
        match = re.search(r"Feature: (\w+)", message)
        return f"{place}no {match[1] if match else 'tf.train.Example'}."
    damaged = re.search(r"(?:corrupted|truncated) record at (\d+)", message)
    if (
        damaged
        or "Input dataset was expected to contain" in message
        or re.search(r"\.tfrecord\S*; No such file", message)
    ):
        tfrecord_files.check_files(
            (
                (part.filename, part.examples_in_shard)
                for split in builder.info.splits.values()
                for part in split.file_instructions
            ),
            int(damaged[1]) if damaged else None,
        )
    return None
