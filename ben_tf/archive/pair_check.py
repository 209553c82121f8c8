"""Finds every fault of a pair, where a conversion stops at the first."""

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import inventory
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from ben_tf.archive import patch_metadata
from ben_tf.archive import patch_pair
from ben_tf.archive import patch_sources
from ben_tf.archive import plausibility


def check_pairs(
    pairs: Sequence[official_lists.OfficialPatch],
    archive: patch_sources.Archive,
) -> list[list[inventory.Fault]]:
    """Returns the faults of each pair; what a worker process runs."""
    return [check_pair(pair, archive) for pair in pairs]


def check_pair(
    official: official_lists.OfficialPatch, archive: patch_sources.Archive
) -> list[inventory.Fault]:
    """Reads all files of a pair and returns all faults.

    Checks that each file is there and nothing else, that sizes, types and
    georeference are right, that labels are known, that pixels are finite and
    plausible, and that both patches name the same partner, place and labels.
    """
    faults: list[inventory.Fault] = []
    sensors = layout.LAYOUTS[archive.version].sensors
    metadata = {}
    footprint = None
    for sensor, patch_name in (
        ("S1", official.s1_name),
        ("S2", official.s2_name),
    ):
        source = archive[sensor]
        present = set(source.file_names(patch_name))
        expected = set(sensors[sensor].file_names(patch_name))
        for kind, names, reason in (
            ("missing", expected - present, "is missing."),
            ("surplus", present - expected, "is not a file of a patch."),
        ):
            faults += [
                inventory.Fault(kind, f"{patch_name}/{name}", reason)
                for name in sorted(names)
            ]
        has_json = layout.json_name(patch_name) in expected
        if has_json:
            # If it is missing the place cannot be compared; the pixels can.
            footprint = None
            if layout.json_name(patch_name) in present:
                with _noting_in(faults):
                    metadata[sensor] = patch_metadata.read_json(
                        source, sensor, patch_name
                    )
                    footprint = metadata[sensor].footprint
        for grid in bigearthnet.GRIDS.values():
            if grid.sensor != sensor:
                continue
            bands = []
            for band in grid.bands:
                if layout.band_name(patch_name, band) in present:
                    with _noting_in(faults):
                        raster = patch_pair.read_band(
                            source, patch_name, band, footprint=footprint
                        )
                        bands.append(raster.pixels)
                        if not has_json:
                            # The first one says where the others must lie.
                            footprint = footprint or raster.footprint
            if len(bands) == len(grid.bands):
                with _noting_in(faults):
                    plausibility.check_grid(bands, sensor, patch_name)
    faults += _missing_maps(archive, official.s2_name)
    with _noting_in(faults):
        patch_pair.read_map(archive, official.s2_name, footprint=footprint)
    if len(metadata) == 2:
        with _noting_in(faults):
            patch_metadata.check_agreement(
                metadata["S1"], metadata["S2"], official
            )
    return faults


def _missing_maps(
    archive: patch_sources.Archive, patch_name: str
) -> list[inventory.Fault]:
    """An archive may do without maps; one that has them has all."""
    maps = archive.sources.get(layout.MAPS)
    sensor_layout = layout.LAYOUTS[archive.version].maps
    if maps is None or sensor_layout is None:
        return []
    present = set(maps.file_names(patch_name))
    return [
        inventory.Fault("missing", f"{patch_name}/{name}", "is missing.")
        for name in sensor_layout.file_names(patch_name)
        if name not in present
    ]


@contextlib.contextmanager
def _noting_in(faults: list[inventory.Fault]) -> Iterator[None]:
    """Turns an error into a fault."""
    try:
        yield
    except errors.ArchiveError as error:
        faults.append(inventory.Fault("broken", error.place, error.reason))
