"""Maps of generated scenes: a known mosaic in, the same mosaic out."""

import datetime
import json
import shutil

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import tensorflow as tf
from rasterio import transform as transforms
from rasterio import warp

import ben_tf
from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.predict import scene
from ben_tf.scenes import layers
from tests import rasters

_LEFT, _TOP = 600_000, 4_500_000
_NUM_ROWS, _NUM_COLUMNS = 3, 4
_ZONES = (32629, 32634)
_FILES = {
    "map.qml",
    "map.tif",
    "map_class.tif",
    "map_class.tif.aux.xml",
    "map_class.qml",
    "map_confidence.tif",
    "map_confidence.qml",
}


class _BandMeans:
    """A model whose probabilities are means of bands: the oracle is exact.

    The first of the 19 are those of bands that it looks at, the others are 0.
    """

    class_names = bigearthnet.CLASSES_19
    model = "band_means"
    fingerprint = "f" * 64
    trained_on = ()
    trained_on_synthetic = True

    def __init__(self, *input_names):
        self.input_names = input_names or tuple(bigearthnet.GRIDS)
        self.bands = tuple(
            band
            for band in ("B02", "B12", "B09", "VV", "VH")
            for name in self.input_names
            if band in bigearthnet.GRIDS[name].bands
        )

    def serve(self, inputs):
        assert set(inputs) == set(self.input_names)
        columns = []
        for band in self.bands:
            for name, grid in bigearthnet.GRIDS.items():
                if band in grid.bands and name in inputs:
                    assert inputs[name].shape[1:] == grid.shape
                    values = inputs[name][..., grid.bands.index(band)]
                    mean = values.astype(np.float64).mean(axis=(1, 2))
                    columns.append(
                        (mean + 40) / 50 if grid.sensor == "S1" else mean / 1e4
                    )
        values = np.stack(columns, axis=1)
        empty = np.zeros((len(values), 19 - len(columns)))
        return tf.constant(np.append(values, empty, axis=1), tf.float32)


def _mosaic(seed):
    """A number for each patch of the scene."""
    return np.random.default_rng(seed).integers(
        100, 9000, (_NUM_ROWS, _NUM_COLUMNS)
    )


def _write(path, bands, *, epsg, pixel_m, left=_LEFT, top=_TOP, **options):
    bands = np.asarray(bands)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(bands),
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=bands.dtype,
        crs=f"EPSG:{epsg}",
        transform=transforms.from_origin(left, top, pixel_m, pixel_m),
        **options,
    ) as dataset:
        dataset.write(bands)


def _write_s2(folder, epsg, mosaics, *, add=0):
    folder.mkdir(parents=True)
    for grid in bigearthnet.GRIDS.values():
        if grid.sensor != "S2":
            continue
        for band in grid.bands:
            patches = mosaics.get(band, _mosaic(1)) + add
            pixels = np.kron(patches, np.ones([grid.size_px] * 2)) * (
                patches.repeat(grid.size_px, 0).repeat(grid.size_px, 1) != add
            )
            _write(
                folder / f"T_{band}_{grid.pixel_size_m}m.tif",
                [pixels.astype(np.uint16)],
                epsg=epsg,
                pixel_m=grid.pixel_size_m,
            )


def _write_s1(path, epsg, *, shift_m=0, **options):
    """VV is -10 dB in the west and -20 dB in the east; VH is 6 dB lower."""
    vv = np.full((120 * _NUM_ROWS, 120 * _NUM_COLUMNS), -10, np.float32)
    vv[:, 240:] = -20
    _write(
        path,
        [vv, vv - 6],
        epsg=epsg,
        pixel_m=10,
        left=_LEFT + shift_m,
        **options,
    )


def _read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.profile, dataset.descriptions


@pytest.mark.parametrize("epsg", _ZONES)
def test_mosaic_comes_out_at_its_place(tmp_path, epsg):
    mosaics = {band: _mosaic(n) for n, band in enumerate(("B02", "B12", "B09"))}
    mosaics["B02"][1, 2] = 0  # No data.
    _write_s2(tmp_path / "s2", epsg, mosaics)
    _write_s1(tmp_path / "s1.tif", epsg)
    path = scene.predict_scene(
        _BandMeans(),
        s2_scene=tmp_path / "s2",
        s1_scene=tmp_path / "s1.tif",
        output=tmp_path / "new" / "map.tif",
        batch_size=3,
    ).path
    classes, profile, descriptions = _read(path)
    expected = np.stack(
        [mosaics[band] / 1e4 for band in ("B02", "B12", "B09")]
        + [np.tile([0.6, 0.6, 0.4, 0.4], (3, 1)) - drop for drop in (0, 0.12)]
    )
    expected[:, 1, 2] = np.nan
    np.testing.assert_allclose(classes[:5], expected, rtol=1e-5)
    assert descriptions == _BandMeans().class_names
    assert profile["crs"].to_epsg() == epsg
    assert profile["transform"][:6] == (1200, 0, _LEFT, 0, -1200, _TOP)
    assert np.isnan(profile["nodata"])
    assert profile["tiled"]
    assert {p.name for p in path.parent.iterdir()} == _FILES


def test_overlapping_windows_are_averaged(tmp_path):
    mosaic = _mosaic(2)
    _write_s2(tmp_path / "s2", 32629, {"B02": mosaic})
    path = _predict(tmp_path, "s2_10m", "s2_20m", "s2_60m", stride_m=600).path
    classes, profile, _ = _read(path)
    assert classes.shape[1:] == (6, 8)
    assert profile["transform"][:6] == (600, 0, _LEFT, 0, -600, _TOP)
    # A window sees the mean of the quarters that it covers.
    quarters = mosaic.repeat(2, 0).repeat(2, 1) / 1e4
    expected = np.empty((6, 8))
    for row, column in np.ndindex(6, 8):
        windows = [
            quarters[top : top + 2, left : left + 2].mean()
            for top in (row - 1, row)
            for left in (column - 1, column)
            if 0 <= top < 5 and 0 <= left < 7
        ]
        expected[row, column] = np.mean(windows)
    np.testing.assert_allclose(classes[0], expected, rtol=1e-5)


def test_sentinel_1_of_another_zone_is_reprojected(tmp_path):
    # The S2 scene lies in zone 29, near the border to 30; S1 is in zone 30 and
    # covers more than the western half of it.
    _write_s2(tmp_path / "s2", 32629, {})
    left, bottom, right, top = warp.transform_bounds(
        "EPSG:32629", "EPSG:32630", _LEFT, _TOP - 3600, _LEFT + 2400, _TOP
    )
    shape = (int((top - bottom) / 10) + 60, int((right - left) / 10) + 60)
    s1 = np.full(shape, -15, np.float32)
    _write(
        tmp_path / "s1.tif",
        [s1 - 6, s1],
        epsg=32630,
        pixel_m=10,
        left=left - 300,
        top=top + 300,
    )
    with rasterio.open(tmp_path / "s1.tif", "r+") as dataset:
        dataset.descriptions = ("VH", "VV")
    path = scene.predict_scene(
        _BandMeans("s1", "s2_10m"),
        s2_scene=tmp_path / "s2",
        s1_scene=tmp_path / "s1.tif",
        output=tmp_path / "map.tif",
    ).path
    classes, _, _ = _read(path)
    np.testing.assert_allclose(classes[1, :, :2], 0.5, atol=1e-4)
    np.testing.assert_allclose(classes[2, :, :2], 0.38, atol=1e-4)
    assert np.isnan(classes[:, :, 3]).all()


def test_sentinel_1_alone_has_its_own_grid(tmp_path):
    _write_s1(tmp_path / "s1.tif", 32634, nodata=-20)
    path = scene.predict_scene(
        _BandMeans("s1"),
        s2_scene=None,
        s1_scene=tmp_path / "s1.tif",
        output=tmp_path / "map.tif",
    ).path
    classes, profile, _ = _read(path)
    np.testing.assert_allclose(classes[0, :, :2], 0.6, rtol=1e-5)
    assert np.isnan(classes[:, :, 2:]).all()
    assert profile["crs"].to_epsg() == 32634


def test_newer_products_are_shifted_back(tmp_path):
    mosaic = _mosaic(4)
    _write_s2(tmp_path / "s2", 32629, {"B02": mosaic}, add=1000)
    (tmp_path / "s2" / "MTD_MSIL2A.xml").write_text(
        "<x>"
        + "".join(
            f'<BOA_ADD_OFFSET band_id="{n}">-1000</BOA_ADD_OFFSET>'
            for n in range(13)
        )
        + "</x>"
    )
    (tmp_path / "s2" / "MSK_DETFOO_B02.tif").write_bytes(b"a mask, no band")
    path = scene.predict_scene(
        _BandMeans("s2_10m"),
        s2_scene=tmp_path / "s2",
        s1_scene=None,
        output=tmp_path / "map.tif",
    ).path
    np.testing.assert_allclose(_read(path)[0][0], mosaic / 1e4, rtol=1e-5)


def test_safe_folder_of_jpeg_2000(tmp_path):
    """The tree of a Level-2A product, where B02 also exists at 20 m."""
    mosaic = _mosaic(5)
    _write_s2(tmp_path / "s2", 32634, {"B02": mosaic})
    images = tmp_path / "S2B_MSIL2A_X.SAFE" / "GRANULE" / "L2A_X" / "IMG_DATA"
    for path in (tmp_path / "s2").iterdir():
        band, resolution = path.stem.split("_")[1:]
        folder = images / f"R{resolution}"
        folder.mkdir(parents=True, exist_ok=True)
        rasterio.shutil.copy(
            path,
            folder / f"T34TCR_20170803T094031_{band}_{resolution}.jp2",
            driver="JP2OpenJPEG",
            QUALITY="100",
            REVERSIBLE="YES",
        )
    decoy = images / "R20m" / "T34TCR_20170803T094031_B02_20m.jp2"
    (images / "R20m" / "T34TCR_20170803T094031_B05_20m.jp2").rename(decoy)
    safe = tmp_path / "S2B_MSIL2A_X.SAFE"
    packed = shutil.make_archive(
        tmp_path / "with {odd} name é", "zip", tmp_path, safe.name
    )
    for product in (safe, packed):
        path = scene.predict_scene(
            _BandMeans("s2_10m"),
            s2_scene=product,
            s1_scene=None,
            output=tmp_path / "map.tif",
        ).path
        np.testing.assert_allclose(_read(path)[0][0], mosaic / 1e4, rtol=1e-5)


@pytest.mark.parametrize(
    ("grid", "hints"),
    [
        ("s1", layers.Hints(s2_offset=0)),
        ("s2_10m", layers.Hints(s1_bands=("VV", "VH"))),
    ],
)
def test_hints_of_what_is_not_looked_at_are_refused(tmp_path, grid, hints):
    with pytest.raises(errors.UserError, match="says nothing"):
        scene.predict_scene(
            _BandMeans(grid),
            s2_scene="s2",
            s1_scene="s1.tif",
            output=tmp_path / "map.tif",
            hints=hints,
        )


def test_a_map_says_which_model_made_it(tmp_path):
    _write_s1(tmp_path / "s1.tif", 32634)
    path = _predict(tmp_path, "s1").path
    for name in ("map.tif", "map_class.tif", "map_confidence.tif"):
        with rasterio.open(path.with_name(name)) as dataset:
            tags = dataset.tags()
        assert tags["model"] == "band_means"
        assert tags["fingerprint"] == "f" * 64
        assert tags["synthetic"] == "true"
        assert tags["software"] == f"ben_tf {ben_tf.__version__}"
        assert tags["units"] == "probability, from 0 to 1"
        date = datetime.datetime.fromisoformat(tags["date"])
        assert date.utcoffset() == datetime.timedelta(0)


def test_a_scene_becomes_geojson(tmp_path):
    _write_s1(tmp_path / "s1.tif", 32634, nodata=-20)
    predicted = scene.predict_scene(
        _BandMeans("s1"),
        s2_scene=None,
        s1_scene=tmp_path / "s1.tif",
        output=tmp_path / "map.geojson",
    )
    assert predicted.nodata_share == 0.5
    content = json.loads(predicted.path.read_text())
    assert content["model"] == "band_means"
    assert len(content["features"]) == 6
    for feature in content["features"]:
        properties = feature["properties"]
        assert properties["class"] == bigearthnet.CLASSES_19[0]
        assert properties["confidence"] == pytest.approx(0.6, abs=1e-5)


def test_an_image_with_many_bands(tmp_path):
    """As Earth Engine exports it: one pixel later, all at 10 m."""
    mosaics = {band: _mosaic(n) for n, band in enumerate(("B02", "B12", "B09"))}
    names = [*bigearthnet.S2_BANDS, "VH", "VV"]
    bands = [
        np.kron(mosaics.get(name, _mosaic(1)), np.ones((120, 120)))
        for name in bigearthnet.S2_BANDS
    ]
    vv = np.tile(np.where(np.arange(480) < 240, -10, -20), (360, 1))
    path = rasters.write(
        tmp_path / "x.tif",
        np.pad(
            np.stack([*bands, vv - 6, vv]).astype(np.float32),
            ((0, 0), (5, 0), (5, 0)),
            constant_values=-15,
        ),
        pixel_m=10,
        left=_LEFT - 50,
        top=_TOP + 50,
    )
    predicted = scene.predict_scene(
        _BandMeans(),
        image_paths=[path],
        output=tmp_path / "map.tif",
        hints=layers.Hints(bands=names),
    )
    classes, profile, _ = _read(predicted.path)
    expected = np.stack(
        [mosaics[band] / 1e4 for band in ("B02", "B12", "B09")]
        + [np.tile([0.6, 0.6, 0.4, 0.4], (3, 1)) - drop for drop in (0, 0.12)]
    )
    np.testing.assert_allclose(classes[:5], expected, rtol=1e-5)
    assert profile["transform"][:6] == (1200, 0, _LEFT, 0, -1200, _TOP)


def test_a_stride_above_the_window_leaves_gaps(tmp_path):
    _write_s1(tmp_path / "s1.tif", 32634)
    predicted = _predict(tmp_path, "s1", stride_m=1800)
    classes, profile, _ = _read(predicted.path)
    assert profile["transform"][:6] == (600, 0, _LEFT, 0, -600, _TOP)
    # The second window lies half in the west, half in the east.
    nan = np.nan
    expected = np.tile([0.6, 0.6, nan, 0.5, 0.5, nan, 0.4, 0.4], (5, 1))
    expected[2] = nan
    np.testing.assert_allclose(classes[0], expected, rtol=1e-5)
    assert predicted.nodata_share == pytest.approx(16 / 40)


def test_a_map_says_how_much_of_it_holds_no_data(tmp_path):
    _write_s1(tmp_path / "s1.tif", 32634, nodata=-20)
    assert _predict(tmp_path, "s1").nodata_share == 0.5


def test_scenes_that_nowhere_hold_data_together(tmp_path):
    """Sentinel-2 in the west, Sentinel-1 in the east."""
    mosaic = _mosaic(1)
    mosaic[:, 2:] = 0
    _write_s2(tmp_path / "s2", 32629, {"B02": mosaic})
    pixels = np.full((2, 360, 480), [[[-10.0]], [[-17.0]]], np.float32)
    pixels[:, :, :240] = np.nan
    _write(tmp_path / "s1.tif", pixels, epsg=32629, pixel_m=10)
    with pytest.raises(
        errors.UserError, match=r"No window of 1200 m is whole.*s2_10m or s1"
    ):
        _predict(tmp_path, "s2_10m", "s1")
    assert not (tmp_path / "map.tif").exists()


@pytest.mark.parametrize("strip", [0, 2])
def test_units_are_looked_at_in_every_strip(tmp_path, strip):
    mosaic = _mosaic(1)
    mosaic[strip] = 50_000
    _write_s2(
        tmp_path / "s2",
        32629,
        {band: mosaic for band in bigearthnet.GRIDS["s2_10m"].bands},
    )
    with pytest.raises(
        errors.UserError, match=f"the scene, {strip * 1200} m below"
    ):
        _predict(tmp_path, "s2_10m")


def test_a_file_that_is_damaged_within(tmp_path):
    _write_s1(tmp_path / "s1.tif", 32629, compress="deflate", tiled=True,
              blockxsize=128, blockysize=128)  # fmt: skip
    data = bytearray((tmp_path / "s1.tif").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 500] = bytes(500)
    (tmp_path / "s1.tif").write_bytes(data)
    with pytest.raises(
        errors.UserError, match=r"s1\.tif is damaged in the rows from"
    ):
        _predict(tmp_path, "s1")


def _predict(tmp_path, *grids, stride_m=1200):
    return scene.predict_scene(
        _BandMeans(*grids),
        s2_scene=tmp_path / "s2" if any("s2" in g for g in grids) else None,
        s1_scene=tmp_path / "s1.tif" if "s1" in grids else None,
        output=tmp_path / "map.tif",
        stride_m=stride_m,
    )


def test_unusable_scenes_are_explained(tmp_path):
    def fails(message, *grids, **options):
        with pytest.raises(errors.UserError, match=message):
            _predict(tmp_path, *grids, **options)
        assert not (tmp_path / "map.tif").exists()

    fails("There is no ", "s2_10m")
    fails("cannot be read as an image", "s1")
    fails("multiple of 60", "s1", stride_m=100)
    _write_s2(tmp_path / "s2", 32629, {})
    _write_s1(tmp_path / "s1.tif", 32629, shift_m=50_000)
    fails("do not overlap", "s1", "s2_10m")
    with pytest.raises(errors.UserError, match=r"`output` to end with \.tif"):
        scene.predict_scene(
            _BandMeans("s1"), s2_scene=None, s1_scene="s1", output="map.png"
        )
    with pytest.raises(errors.UserError, match="`s1_scene` as well"):
        scene.predict_scene(
            _BandMeans("s1"), s2_scene=None, s1_scene=None, output="map.tif"
        )
    linear = np.full((2, 120, 120), 0.05, np.float32)
    _write(tmp_path / "s1.tif", linear, epsg=32629, pixel_m=10)
    fails("not dB", "s1")
    decibels = np.stack([linear[0] - 9, linear[1] - 15])
    _write(tmp_path / "s1.tif", decibels, epsg=32629, pixel_m=20)
    fails("Expected squares of 10 m", "s1")
    _write(tmp_path / "s1.tif", decibels[:, :50], epsg=32629, pixel_m=10)
    fails("at least one patch", "s1")
    _write(tmp_path / "s1.tif", decibels[:1], epsg=32629, pixel_m=10)
    fails("Expected one VV and one VH", "s1")
    b02 = tmp_path / "s2" / "T_B02_10m.tif"
    reflectance = np.full((1, 360, 480), 0.2, np.float32)
    for band in bigearthnet.GRIDS["s2_10m"].bands:
        path = tmp_path / "s2" / f"T_{band}_10m.tif"
        _write(path, reflectance, epsg=32629, pixel_m=10)
    fails("not surface reflectance x 10,000", "s2_10m")
    _write(b02, reflectance, epsg=32629, pixel_m=20)
    fails("Expected squares of 10 m", "s2_10m")
    _write(b02, reflectance, epsg=32630, pixel_m=10)
    fails("same ground", "s2_10m")
    b02.unlink()
    fails("lacks the bands B02", "s2_10m")
