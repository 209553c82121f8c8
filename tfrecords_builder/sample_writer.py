"""Writes a small archive: six real pairs in v1.0, the others synthetic.

Names come from the official lists, footprints from the names, labels and pixels
from `synthetic`. Those of v2.0 come from the lists of v1.0, which lack the
orbit: it is R000 here, which no real name has.
"""

import collections
import functools
import itertools
import json
import os
import pathlib
import re
import shutil
import struct
import tarfile
from collections.abc import Callable
from collections.abc import Container
from collections.abc import Sequence

import numpy as np
import rasterio
import rasterio.transform
import tqdm

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import footprints
from ben_tf.archive import layout
from ben_tf.archive import official_lists
from tfrecords_builder import synthetic
from tfrecords_builder import workers

# Shares of the splits among the synthetic pairs.
_SPLIT_SHARES = {
    "train": 0.55,
    "validation": 0.15,
    "test": 0.25,
    "excluded": 0.05,
}
# Stands in headers where the corner of a patch belongs.
_ANY_CORNER = 123_456
_MARKER_TEXT = """\
SYNTHETIC DATA. The pixels and labels of this archive were generated, except
for the real pairs below. Scores on it say nothing about BigEarthNet.

version: {version}
pairs: {num_pairs}
seed: {seed}
real pairs: {num_real}
{real_names}
"""


def write_sample_archive(
    output_dir: str | os.PathLike,
    *,
    num_pairs: int,
    seed: int = 0,
    version: str = layout.V1.version,
) -> pathlib.Path:
    """Writes the archive in one process a core, with a progress bar.

    The folder appears when the archive is complete.

    Args:
      output_dir: New or empty folder.
      num_pairs: Number of patch pairs, at least 6.
      seed: Same seed, same archive.
      version: Whose layout to write, "v1" or "v2"; in v2 no pair is real.

    Returns:
      The folder.

    Raises:
      UserError: The folder holds something already.
    """
    output_dir = pathlib.Path(output_dir)
    if output_dir.exists() and any(output_dir.iterdir()):
        raise errors.UserError(
            f"The folder {output_dir} is not empty. Expected a new or empty "
            "one. Choose another `output_dir`."
        )
    part = output_dir.with_name(output_dir.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    real_names = _copy_real_pairs(part) if version == layout.V1.version else []
    patches = choose_patches(
        num_pairs - len(real_names),
        seed=seed,
        exclude=real_names,
        keep=_KEPT[version],
    )
    (part / layout.SYNTHETIC_MARKER).write_text(
        _MARKER_TEXT.format(
            version=version,
            num_pairs=num_pairs,
            seed=seed,
            num_real=len(real_names),
            real_names="\n".join(real_names),
        )
    )
    written = list(
        tqdm.tqdm(
            workers.run(
                _write_pair,
                patches,
                shared=(part, layout.LAYOUTS[version], seed),
                num_workers=None,
            ),
            total=len(patches),
            desc="sample archive",
            unit="pair",
        )
    )
    if version == layout.V2.version:
        _write_tables(part, written)
    os.replace(part, output_dir)
    return output_dir


# Version -> which pairs of v1.0 it has: all, or those with a label of the 19.
_KEPT: dict[str, Callable[[official_lists.OfficialPatch], bool]] = {
    layout.V1.version: lambda patch: True,
    layout.V2.version: lambda patch: (
        patch.split != "excluded" or is_flagged(patch)
    ),
}


def is_flagged(patch: official_lists.OfficialPatch) -> bool:
    """Whether a patch is excluded for snow, clouds or shadows."""
    return patch.seasonal_snow or patch.cloud_or_shadow


def choose_patches(
    num_patches: int,
    *,
    seed: int,
    exclude: Container[str] = (),
    keep: Callable[[official_lists.OfficialPatch], bool] = _KEPT["v1"],
) -> list[official_lists.OfficialPatch]:
    """Draws patches from the official lists, all strata alike.

    Every split gets its share, and within a split the pairs of country and
    season take turns.
    """
    strata = collections.defaultdict(list)
    for patch in official_lists.official_patches().values():
        strata[patch.split, patch.country, patch.season].append(patch)
    random = np.random.default_rng([seed, 1])
    chosen: list[official_lists.OfficialPatch] = []
    for split, share in _SPLIT_SHARES.items():
        wanted = round(share * num_patches)
        if split == "excluded":  # The last takes what rounding has left.
            wanted = num_patches - len(chosen)
        queues = [
            map(stratum.__getitem__, random.permutation(len(stratum)))
            for key, stratum in sorted(strata.items())
            if key[0] == split
        ]
        turns = itertools.chain.from_iterable(itertools.zip_longest(*queues))
        candidates = (
            patch
            for patch in turns
            if patch and patch.s2_name not in exclude and keep(patch)
        )
        chosen.extend(itertools.islice(candidates, wanted))
    return chosen


def _write_pair(
    patch: official_lists.OfficialPatch,
    archive: tuple[pathlib.Path, layout.Layout, int],
) -> official_lists.OfficialPatch:
    """Writes one synthetic pair: 12 + 2 GeoTIFFs, and two JSON files in v1.0.

    Args:
      patch: The names of the pair in v1.0, and what decides its labels.
      archive: The folder of the archive, its layout and its seed.

    Returns:
      The pair as the version's own list has it.
    """
    output_dir, lies, seed = archive
    # A patch has its own seed, so the worker that writes it does not matter.
    random = np.random.default_rng([seed, 2, *patch.s2_name.encode()])
    labels = synthetic.draw_labels(
        random, only_dropped=patch.split == "excluded" and not is_flagged(patch)
    )
    pixels = synthetic.draw_pixels(labels, random)
    footprint = footprints.footprint_of(patch.s1_name)
    written = _OWN_NAMES[lies.version](patch, labels)
    for sensor, name in (("S1", written.s1_name), ("S2", written.s2_name)):
        names = lies.sensors[sensor]
        folder = output_dir / names.folders[0] / names.place_of(name)
        folder.mkdir(parents=True)
        for band in bigearthnet.BANDS[sensor]:
            path = folder / layout.band_name(name, band)
            _write_geotiff(path, pixels[band], footprint)
        path = folder / layout.json_name(name)
        if path.name in names.file_names(name):
            content = _json_content(sensor, patch, labels, footprint)
            path.write_text(json.dumps(content))
    if lies.maps:
        name = written.s2_name
        folder = output_dir / lies.maps.folders[0] / lies.maps.place_of(name)
        folder.mkdir(parents=True)
        (file_name,) = lies.maps.file_names(name)
        _write_map(folder / file_name, pixels["reference_map"], footprint)
    return written


def _write_map(
    path: pathlib.Path, codes: np.ndarray, footprint: footprints.Footprint
) -> None:
    """Writes the classes of the pixels."""
    grid = bigearthnet.REFERENCE_MAP
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.size_px,
        height=grid.size_px,
        count=1,
        dtype=grid.dtype,
        nodata=bigearthnet.CLC_NO_DATA,
        compress="deflate",
        predictor=2,
        crs=f"EPSG:{footprint.epsg}",
        transform=rasterio.transform.from_origin(
            *footprint.upper_left, grid.pixel_size_m, grid.pixel_size_m
        ),
    ) as file:
        file.write(codes, 1)


def _as_in_v1(
    patch: official_lists.OfficialPatch, labels: Sequence[str]
) -> official_lists.OfficialPatch:
    del labels
    return patch


def _as_in_v2(
    patch: official_lists.OfficialPatch, labels: Sequence[str]
) -> official_lists.OfficialPatch:
    mission, product, _, h, v = patch.s2_name.split("_")
    tile = patch.s1_name.split("_")[-3]
    time = re.sub(r"[-:]", "", _time(patch.s2_name, separator="T"))
    return patch._replace(
        s2_name=f"{mission}_{product}_{time}_N9999_R000_T{tile}"
        f"_{int(h):02}_{int(v):02}",
        labels_19=bigearthnet.labels_43_to_19(labels),
        v1_name=patch.s2_name,
    )


_OWN_NAMES = {layout.V1.version: _as_in_v1, layout.V2.version: _as_in_v2}


def _json_content(
    sensor: str,
    patch: official_lists.OfficialPatch,
    labels: Sequence[str],
    footprint: footprints.Footprint,
) -> dict[str, object]:
    """What the JSON file of a patch of v1.0 says."""
    of_sensor = {
        "S1": {
            "corresponding_s2_patch": patch.s2_name,
            "scene_source": f"{_prefix(patch.s1_name)}_SYNTHETIC",
            "acquisition_time": _time(patch.s1_name, separator="T"),
        },
        "S2": {
            "tile_source": f"{_prefix(patch.s2_name)}_SYNTHETIC.SAFE",
            "acquisition_date": _time(patch.s2_name, separator=" "),
        },
    }
    # The archive's Sentinel-1 files say "lly" where they mean "lry".
    lower_key = {"S1": "lly", "S2": "lry"}[sensor]
    left, upper = footprint.upper_left
    return {
        "labels": labels,
        "coordinates": {
            "ulx": left,
            "uly": upper,
            "lrx": left + bigearthnet.PATCH_SIZE_M,
            lower_key: upper - bigearthnet.PATCH_SIZE_M,
        },
        "projection": _projection(footprint.epsg),
        **of_sensor[sensor],
    }


@functools.cache
def _projection(epsg: int) -> str:
    return rasterio.CRS.from_epsg(epsg).to_wkt(version="WKT1")


def _write_tables(
    output_dir: pathlib.Path, pairs: Sequence[official_lists.OfficialPatch]
) -> None:
    """Writes the two tables of v2.0."""
    # Here, because pyarrow takes a while to import.
    import pyarrow as pa
    from pyarrow import parquet

    from ben_tf.archive import v2_lists

    schema = pa.schema(v2_lists.COLUMNS.items())
    for name, flagged in (
        (v2_lists.TABLE, False),
        (v2_lists.FLAGGED_TABLE, True),
    ):
        rows = [
            {
                "patch_id": pair.s2_name,
                # As the official tables order them.
                "labels": sorted(pair.labels_19),
                # An excluded pair has a split of its own there.
                "split": "train" if flagged else pair.split,
                "country": pair.country,
                "s1_name": pair.s1_name,
                "s2v1_name": pair.v1_name,
                "contains_seasonal_snow": pair.seasonal_snow,
                "contains_cloud_or_shadow": pair.cloud_or_shadow,
            }
            for pair in sorted(pairs)
            if is_flagged(pair) == flagged
        ]
        table = pa.Table.from_pylist(rows, schema=schema)
        parquet.write_table(table, output_dir / name)


def _write_geotiff(
    path: pathlib.Path, pixels: np.ndarray, footprint: footprints.Footprint
) -> None:
    """Writes what GDAL would, which takes long to open a file."""
    header = _geotiff_header(
        pixels.shape[0], pixels.dtype.name, footprint.epsg
    ).replace(
        _tie_point(_ANY_CORNER, _ANY_CORNER),
        _tie_point(*footprint.upper_left),
    )
    path.write_bytes(header + pixels.tobytes())


@functools.cache
def _geotiff_header(size_px: int, dtype: str, epsg: int) -> bytes:
    """What GDAL writes in front of the pixels, with a corner to replace."""
    pixel_size_m = bigearthnet.PATCH_SIZE_M // size_px
    # GDAL pads the last strip of an image of zeros.
    pixels = np.ones((size_px, size_px), dtype)
    with rasterio.MemoryFile() as file:
        with file.open(
            driver="GTiff",
            width=size_px,
            height=size_px,
            count=1,
            dtype=dtype,
            crs=f"EPSG:{epsg}",
            transform=rasterio.transform.from_origin(
                _ANY_CORNER, _ANY_CORNER, pixel_size_m, pixel_size_m
            ),
        ) as dataset:
            dataset.write(pixels, 1)
        return file.read()[: -pixels.nbytes]


def _tie_point(easting: float, northing: float) -> bytes:
    """GeoTIFF's ModelTiepointTag of an upper left corner."""
    return struct.pack("<6d", 0, 0, 0, easting, northing, 0)


def _prefix(name: str) -> str:
    """Returns a patch name without the two indices at its end."""
    return name.rsplit("_", 2)[0]


def _time(name: str, *, separator: str) -> str:
    """Returns the time in a patch name as ISO 8601.

    Names of Sentinel-2 patches may lack the leading zero of the hour and may
    have second 60 or 61, as in 94160; such seconds become 59 here.
    """
    date, time = re.findall(r"_(\d{8})T(\d{5,6})_", name)[0]
    time = time.zfill(6)
    second = min(int(time[4:]), 59)
    return (
        f"{date[:4]}-{date[4:6]}-{date[6:]}{separator}"
        f"{time[:2]}:{time[2:4]}:{second:02d}"
    )


def _copy_real_pairs(output_dir: pathlib.Path) -> list[str]:
    """Unpacks the six real pairs of v1.0; returns the names of the S2 ones."""
    folders = {
        sensor: output_dir / names.folders[0]
        for sensor, names in layout.V1.sensors.items()
    }
    for sensor, tarball in official_lists.example_tarballs().items():
        with (
            tarball.open("rb") as stream,
            tarfile.open(fileobj=stream) as archive,
        ):
            archive.extractall(output_dir, filter="data")
        example = output_dir / f"BigEarthNet-{sensor}-Example"
        example.rename(folders[sensor])
    return sorted(path.name for path in folders["S2"].iterdir())
