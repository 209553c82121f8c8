"""Writes a small archive: six real pairs, the others synthetic.

Names come from the official lists, footprints from the names, labels and pixels
from `synthetic`.
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
from collections.abc import Container

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

# Where the patches of a sensor lie, as in the official tarballs.
_FOLDERS = {
    sensor: names.folders[0] for sensor, names in layout.V1.sensors.items()
}

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
for six real pairs. Scores on it say nothing about BigEarthNet.

pairs: {num_pairs}
seed: {seed}
real pairs:
{real_names}
"""


def write_sample_archive(
    output_dir: str | os.PathLike, *, num_pairs: int, seed: int = 0
) -> pathlib.Path:
    """Writes the archive in one process a core, with a progress bar.

    The folder appears when the archive is complete.

    Args:
      output_dir: New or empty folder.
      num_pairs: Number of patch pairs, at least 6.
      seed: Same seed, same archive.

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
    real_names = _copy_real_pairs(part)
    patches = choose_patches(
        num_pairs - len(real_names), seed=seed, exclude=real_names
    )
    (part / layout.SYNTHETIC_MARKER).write_text(
        _MARKER_TEXT.format(
            num_pairs=num_pairs, seed=seed, real_names="\n".join(real_names)
        )
    )
    written = workers.run(
        _write_pair, patches, shared=(part, seed), num_workers=None
    )
    for _ in tqdm.tqdm(
        written, total=len(patches), desc="sample archive", unit="pair"
    ):
        pass
    os.replace(part, output_dir)
    return output_dir


def choose_patches(
    num_patches: int, *, seed: int, exclude: Container[str] = ()
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
            patch for patch in turns if patch and patch.s2_name not in exclude
        )
        chosen.extend(itertools.islice(candidates, wanted))
    return chosen


def _write_pair(
    patch: official_lists.OfficialPatch, archive: tuple[pathlib.Path, int]
) -> None:
    """Writes one synthetic pair: 12 + 2 GeoTIFFs and two JSON files.

    Args:
      patch: The names of the pair, and what decides its labels.
      archive: The folder of the archive, and its seed.
    """
    output_dir, seed = archive
    # A patch has its own seed, so the worker that writes it does not matter.
    random = np.random.default_rng([seed, 2, *patch.s2_name.encode()])
    flagged = patch.seasonal_snow or patch.cloud_or_shadow
    labels = synthetic.draw_labels(
        random, only_dropped=patch.split == "excluded" and not flagged
    )
    pixels = synthetic.draw_pixels(labels, random)
    footprint = footprints.footprint_of(patch.s1_name)
    projection = rasterio.CRS.from_epsg(footprint.epsg).to_wkt(version="WKT1")
    left, upper = footprint.upper_left
    s1_content = {
        "corresponding_s2_patch": patch.s2_name,
        "scene_source": f"{_prefix(patch.s1_name)}_SYNTHETIC",
        "acquisition_time": _time(patch.s1_name, separator="T"),
    }
    s2_content = {
        "tile_source": f"{_prefix(patch.s2_name)}_SYNTHETIC.SAFE",
        "acquisition_date": _time(patch.s2_name, separator=" "),
    }
    for sensor, name, lower_key, content in (
        # The archive's Sentinel-1 files say "lly" where they mean "lry".
        ("S1", patch.s1_name, "lly", s1_content),
        ("S2", patch.s2_name, "lry", s2_content),
    ):
        folder = output_dir / _FOLDERS[sensor] / name
        folder.mkdir(parents=True)
        for band in bigearthnet.BANDS[sensor]:
            path = folder / layout.band_name(name, band)
            _write_geotiff(path, pixels[band], footprint)
        coordinates = {
            "ulx": left,
            "uly": upper,
            "lrx": left + bigearthnet.PATCH_SIZE_M,
            lower_key: upper - bigearthnet.PATCH_SIZE_M,
        }
        common = {
            "labels": labels,
            "coordinates": coordinates,
            "projection": projection,
        }
        path = folder / layout.json_name(name)
        path.write_text(json.dumps(common | content))


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
    """Unpacks the six real pairs; returns the names of the S2 patches."""
    for sensor, tarball in official_lists.example_tarballs().items():
        with (
            tarball.open("rb") as stream,
            tarfile.open(fileobj=stream) as archive,
        ):
            archive.extractall(output_dir, filter="data")
        example = output_dir / f"BigEarthNet-{sensor}-Example"
        example.rename(output_dir / _FOLDERS[sensor])
    return sorted(path.name for path in (output_dir / _FOLDERS["S2"]).iterdir())
