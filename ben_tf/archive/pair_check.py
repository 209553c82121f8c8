"""Finds every fault of a pair, where a conversion stops at the first."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_json
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources


class Fault(NamedTuple):
    """One thing that is wrong with an archive.

    Attributes:
      kind: "missing", "surplus" or "broken".
      place: The patch or file at fault.
      reason: What is wrong with it.
    """

    kind: str
    place: str
    reason: str


def check_pairs(
    pairs: Sequence[official_lists.OfficialPatch],
    archive: patch_sources.Archive,
) -> list[list[Fault]]:
    """Returns the faults of each pair; what a worker process runs."""
    return [check_pair(pair, archive) for pair in pairs]


def check_pair(
    official: official_lists.OfficialPatch, archive: patch_sources.Archive
) -> list[Fault]:
    """Reads the 16 files of a pair and returns all faults.

    Checks that each file is there and nothing else, that sizes, types and
    georeference are right, that labels are known, that dB are finite, and that
    both patches name the same partner, place and labels.
    """
    faults = []
    metadata = {}
    for sensor, patch_name in (
        ("S1", official.s1_name),
        ("S2", official.s2_name),
    ):
        source = archive[sensor]
        present = set(source.file_names(patch_name))
        expected = set(layout.file_names(sensor, patch_name))
        faults += [
            Fault("missing", f"{patch_name}/{name}", "is missing.")
            for name in sorted(expected - present)
        ]
        faults += [
            Fault(
                "surplus", f"{patch_name}/{name}", "is not a file of a patch."
            )
            for name in sorted(present - expected)
        ]
        if layout.json_name(patch_name) in present:
            try:
                metadata[sensor] = patch_pair.read_json(
                    source, sensor, patch_name
                )
            except errors.ArchiveError as error:
                faults.append(_broken(error))
        # Without JSON the place cannot be compared; the pixels still can.
        for grid in bigearthnet.GRIDS.values():
            if grid.sensor != sensor:
                continue
            for band in grid.bands:
                if layout.band_name(patch_name, band) in present:
                    faults += _check_band(
                        source, patch_name, grid, band, metadata.get(sensor)
                    )
    if len(metadata) == 2:
        try:
            patch_pair.check_agreement(metadata["S1"], metadata["S2"], official)
        except errors.ArchiveError as error:
            faults.append(_broken(error))
    return faults


def _check_band(
    source: patch_sources.Source,
    patch_name: str,
    grid: bigearthnet.Grid,
    band: str,
    metadata: patch_json.PatchJson | None,
) -> list[Fault]:
    try:
        pixels = patch_pair.read_band(
            source, patch_name, grid, band, metadata=metadata
        ).pixels
    except errors.ArchiveError as error:
        return [_broken(error)]
    if grid.dtype == "float32" and not np.isfinite(pixels).all():
        place = f"{patch_name}/{layout.band_name(patch_name, band)}"
        return [Fault("broken", place, "holds NaN or infinite dB.")]
    return []


def _broken(error: errors.ArchiveError) -> Fault:
    return Fault("broken", error.place, error.reason)
