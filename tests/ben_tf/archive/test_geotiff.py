"""GeoTIFF bytes against rasterio: equal arrays, or the declared error."""

import itertools
import pickle
import random
import struct

import numpy as np
import pytest
import rasterio
from rasterio import io as rasterio_io

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import geotiff

GRIDS = bigearthnet.GRIDS
# The full number of damaged files runs in benchmarks/build.py.
NUM_DAMAGED = 2_000


def real_files(real_archive):
    for path in sorted(real_archive.glob("*/*/*.tif")):
        band = path.stem.rsplit("_", 1)[1]
        yield path, bigearthnet.grid_of_band(band)


def write_tiff(pixels, *, epsg=32633, transform=None, **options) -> bytes:
    """Writes what rasterio writes by default, or with other options."""
    pixels = np.atleast_3d(pixels)
    transform = transform or rasterio.Affine(20, 0, 400_000, 0, -20, 5_000_000)
    with rasterio_io.MemoryFile() as file:
        with file.open(
            driver="GTiff",
            height=pixels.shape[0],
            width=pixels.shape[1],
            count=pixels.shape[2],
            dtype=pixels.dtype,
            crs=epsg and f"EPSG:{epsg}",
            transform=transform,
            **options,
        ) as dataset:
            dataset.write(np.moveaxis(pixels, -1, 0))
        return file.read()


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 20_000, (60, 60), np.uint16)


def refuse_rasterio(*args):
    raise AssertionError("The general path was taken.")


def test_real_files_take_the_fast_path_and_equal_rasterio(
    real_archive, monkeypatch
):
    monkeypatch.setattr(geotiff, "_decode_with_rasterio", refuse_rasterio)
    num_files = 0
    for path, grid in real_files(real_archive):
        raster = geotiff.decode(path.read_bytes(), place=path.name, grid=grid)
        with rasterio.open(path) as dataset:
            expected = dataset.read(1)
            assert raster.footprint == (
                dataset.crs.to_epsg(),
                (dataset.bounds.left, dataset.bounds.top),
            )
        assert raster.pixels.dtype == expected.dtype
        assert raster.pixels.tobytes() == expected.tobytes()
        num_files += 1
    assert num_files == 6 * 14


def test_both_paths_give_the_same(real_archive, monkeypatch):
    files = [(p.read_bytes(), grid) for p, grid in real_files(real_archive)]
    fast = [geotiff.decode(data, place="", grid=grid) for data, grid in files]
    monkeypatch.setattr(
        geotiff, "_parse_plain_header", lambda *args, **kwargs: None
    )
    for (data, grid), raster in zip(files, fast, strict=True):
        general = geotiff.decode(data, place="", grid=grid)
        assert general[1:] == raster[1:]
        np.testing.assert_array_equal(general.pixels, raster.pixels)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compress": "deflate", "predictor": 2},
        {"compress": "lzw"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
        {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG"},
        {"nodata": 0},
    ],
    ids=str,
)
def test_other_layouts_are_read_as_well(pixels, options):
    raster = geotiff.decode(
        write_tiff(pixels, **options), place="x.tif", grid=GRIDS["s2_20m"]
    )
    np.testing.assert_array_equal(raster.pixels, pixels)
    assert raster.pixels.dtype == pixels.dtype
    assert raster.footprint == (32633, (400_000, 5_000_000))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: write_tiff(p)[:-1], "cannot be read"),
        (lambda p: write_tiff(p)[:3000], "cannot be read"),
        (lambda p: b"", "is empty"),
        (lambda p: b"not a TIFF", "cannot be read"),
        (lambda p: write_tiff(p[:59]), r"1 band\(s\) of 59 x 60 pixels"),
        (lambda p: write_tiff(np.dstack([p, p])), r"2 band\(s\)"),
        (lambda p: write_tiff(p.astype(np.int16)), "int16"),
        (lambda p: write_tiff(p.astype(np.float32)), "float32"),
        (lambda p: write_tiff(p, epsg=None), "projection"),
        (
            lambda p: write_tiff(
                p, transform=rasterio.Affine(10, 0, 0, 0, -10, 0)
            ),
            "pixels of 10.0 m",
        ),
        (
            lambda p: write_tiff(
                p, transform=rasterio.Affine(20, 1, 0, 0, -20, 0)
            ),
            "north-up",
        ),
        *(
            (
                lambda p, place=place: write_tiff(
                    p, transform=rasterio.Affine(20, 0, place, 0, -20, 5e6)
                ),
                "nowhere on earth|cannot be read|no known",
            )
            for place in (1e12, -1e300, np.nan, np.inf)
        ),
    ],
)
def test_anything_else_is_refused_with_file_and_reason(pixels, make, reason):
    with pytest.raises(errors.ArchiveError, match=reason) as caught:
        geotiff.decode(make(pixels), place="p/x.tif", grid=GRIDS["s2_20m"])
    assert str(caught.value).startswith("p/x.tif ")


def test_epsg_0_is_no_projection(pixels):
    data = write_tiff(pixels)
    key = struct.pack("<4H", 3072, 0, 1, 32633)
    assert data.count(key) == 1
    damaged = data.replace(key, struct.pack("<4H", 3072, 0, 1, 0))
    with pytest.raises(errors.ArchiveError, match="no known projection"):
        geotiff.decode(damaged, place="x.tif", grid=bigearthnet.GRIDS["s2_20m"])


def test_references_to_other_files_are_not_followed(pixels, tmp_path):
    tiff = tmp_path / "x.tif"
    tiff.write_bytes(write_tiff(pixels))
    vrt = (
        '<VRTDataset rasterXSize="60" rasterYSize="60">'
        '<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{tiff}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(errors.ArchiveError, match="cannot be read"):
        geotiff.decode(vrt.encode(), place="x", grid=GRIDS["s2_20m"])


@pytest.mark.parametrize("field_type", [2, 12])  # ASCII, double.
def test_a_number_of_rows_that_is_no_integer_goes_to_rasterio(
    pixels, field_type
):
    data = write_tiff(pixels)
    entry = struct.pack("<HHI", 278, 3, 1)  # Rows per strip, a short.
    assert data.count(entry) == 1
    data = data.replace(entry, struct.pack("<HHI", 278, field_type, 1))
    try:
        raster = geotiff.decode(data, place="x.tif", grid=GRIDS["s2_20m"])
    except errors.ArchiveError:
        return
    np.testing.assert_array_equal(raster.pixels, pixels)


def damage(data: bytes, generator: random.Random) -> bytes:
    """Cuts, grows, flips bits or overwrites, mostly in the header."""
    damaged = bytearray(data)
    kind = generator.randrange(4)
    if kind == 0:
        del damaged[generator.randrange(len(damaged)) :]
    elif kind == 1:
        at = generator.randrange(len(damaged))
        damaged[at:at] = generator.randbytes(generator.randrange(1, 100))
    else:
        end = generator.choice([420, len(damaged)])
        for _ in range(generator.choice([1, 2, 8, 64])):
            at = generator.randrange(min(end, len(damaged)))
            damaged[at] = generator.randrange(256)
    return bytes(damaged)


def test_damaged_files_raise_only_the_declared_error(real_archive):
    generator = random.Random(0)
    files = [(p.read_bytes(), grid) for p, grid in real_files(real_archive)]
    num_refused = 0
    for data, grid in itertools.islice(itertools.cycle(files), NUM_DAMAGED):
        try:
            raster = geotiff.decode(
                damage(data, generator), place="x.tif", grid=grid
            )
        except errors.ArchiveError:
            num_refused += 1
        else:
            assert raster.pixels.shape == grid.shape[:2]
            assert raster.pixels.dtype == grid.dtype
    assert num_refused > NUM_DAMAGED / 4


MAP_OPTIONS = {"compress": "deflate", "predictor": 2, "nodata": 0}
MAP_TRANSFORM = rasterio.Affine(10, 0, 400_000, 0, -10, 5_000_000)


@pytest.fixture
def map_data():
    """A reference map of v2.0, as GDAL writes it."""
    codes = np.random.default_rng(0).choice([0, 112, 523, 999], (120, 120))
    codes = codes.astype(np.uint16)
    return write_tiff(codes, transform=MAP_TRANSFORM, **MAP_OPTIONS)


@pytest.mark.parametrize(
    "pixels",
    [
        np.random.default_rng(0).integers(0, 1 << 16, (120, 120), np.uint16),
        np.full((120, 120), 999, np.uint16),
    ],
)
def test_maps_take_a_fast_path_and_equal_rasterio(pixels, monkeypatch):
    monkeypatch.setattr(geotiff, "_decode_with_rasterio", refuse_rasterio)
    data = write_tiff(pixels, transform=MAP_TRANSFORM, **MAP_OPTIONS)
    grid = bigearthnet.REFERENCE_MAP
    raster = geotiff.decode(data, place="map.tif", grid=grid)
    np.testing.assert_array_equal(raster.pixels, pixels)
    assert raster.pixels.dtype == pixels.dtype
    assert raster.footprint == (32633, (400_000, 5_000_000))
    with pytest.raises(ValueError, match="read-only"):
        raster.pixels[0, 0] = 1


def test_damaged_maps_are_read_as_rasterio_reads_them_or_refused(map_data):
    generator = random.Random(0)
    grid = bigearthnet.REFERENCE_MAP
    num_read = num_refused = 0
    for _ in range(NUM_DAMAGED):
        data = damage(map_data, generator)
        fast = geotiff._decode_deflated(data, grid)
        if fast:
            pixels, _ = fast
            with (
                rasterio_io.MemoryFile(data) as file,
                file.open(driver="GTiff") as dataset,
            ):
                np.testing.assert_array_equal(pixels, dataset.read(1))
            num_read += 1
            continue
        try:
            geotiff.decode(data, place="map.tif", grid=grid)
        except errors.ArchiveError:
            num_refused += 1
    assert num_read
    assert num_refused > NUM_DAMAGED / 2


def test_the_error_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(errors.ArchiveError("a.tif", "is bad.")))
    assert (error.place, error.reason) == ("a.tif", "is bad.")
    assert str(error) == "a.tif is bad."
