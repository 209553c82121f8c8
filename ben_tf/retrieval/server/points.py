"""All patches of an index for a map, packed as a page reads them."""

import numpy as np

from ben_tf.retrieval import embedding

_LABEL_BITS = 64


def pack(patches: embedding.Embedded) -> bytes:
    """Packs what a map draws and filters by, 23 bytes a patch.

    Returns:
      Little-endian columns one after the other: longitude and latitude of the
      centre, float32, degrees, NaN where it is nowhere; labels as bits of two
      uint32, the first 32 classes in the first; day since 1970-01-01, int32,
      -2^31 where unknown; country, season and split, uint8, 255 where unknown.
    """
    places = patches.centres.T.astype("<f4")
    places[~np.isfinite(places)] = np.nan
    bits = np.zeros((len(patches.names), _LABEL_BITS), np.uint8)
    bits[:, : patches.labels.shape[1]] = patches.labels
    packed = np.packbits(bits, axis=1, bitorder="little").view("<u4")
    return b"".join(
        column.tobytes()
        for column in (
            *places,
            *packed.T,
            np.asarray(patches.days, "<i4"),
            np.asarray(patches.countries, np.uint8),
            np.asarray(patches.seasons, np.uint8),
            np.asarray(patches.split_numbers, np.uint8),
        )
    )
