"""STAC items, read and validated by pystac; what they say, by rasterio.

pystac brings the schema of items along, but not those of extensions: what
these say is read by pystac's own classes and compared with the files.
"""

import datetime
import json
import sys

import numpy as np
import pystac
import pytest
import rasterio
from pyarrow import parquet
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.mlm import MLMExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from pystac.extensions.table import TableExtension
from rasterio import warp

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import saved_model
from ben_tf.predict import output_files
from ben_tf.predict import patches
from ben_tf.predict import scene
from ben_tf.predict import stac
from tests import in_process
from tests import rasters

NAMES = (*bigearthnet.S2_BANDS, "VV", "VH")
TIME = datetime.datetime(2017, 6, 13, 10, 10, 31, tzinfo=datetime.UTC)
URIS = {
    "classification/v2",
    "mlm/v1",
    "projection/v2",
    "raster/v1",
}


@pytest.fixture(scope="module")
def model(workdir):
    return saved_model.load(workdir / "saved_model")


def write_image(path, **options):
    """2.4 km of noise, all bands at 10 m."""
    pixels = np.random.default_rng(0).integers(100, 5000, (14, 240, 240))
    pixels = pixels.astype(np.float32)
    pixels[-2:] = pixels[-2:] / 500 - [[[15]], [[22]]]
    return rasters.write(
        path, pixels, pixel_m=10, descriptions=NAMES, **options
    )


def read(path) -> pystac.Item:
    """The item, valid by the schema of the core."""
    item = pystac.Item.from_file(path)
    core = item.clone()
    core.stac_extensions = []
    assert core.validate()
    return item


@pytest.fixture(scope="module")
def written(model, workdir, tmp_path_factory):
    """Folder of a map and its item."""
    folder = tmp_path_factory.mktemp("stac")
    scene.predict_scene(
        model,
        image_paths=[write_image(folder / "T29_20170613T101031 #1.tif")],
        output=folder / "maps" / "my map.tif",
        stride_m=600,
        stac_request=stac.Request(workdir / "saved_model"),
    )
    return folder / "maps"


def test_an_item_lists_all_files_of_a_map(written):
    item = read(written / "my map.stac.json")
    assert item.id == "my map"
    hrefs = {
        key: asset.get_absolute_href() for key, asset in item.assets.items()
    }
    model = hrefs.pop("model")
    assert model.endswith("/saved_model")
    assert set(hrefs) == {
        *("data", "class", "confidence"),
        *("qml", "class_qml", "confidence_qml", "class_tif_aux_xml"),
    }
    assert sorted(hrefs.values()) == sorted(
        str(path).replace(" ", "%20")
        for path in written.iterdir()
        if path.name != "my map.stac.json"
    )
    for key in ("data", "class", "confidence"):
        assert item.assets[key].media_type == pystac.MediaType.COG
        assert item.assets[key].roles == ["data"]


def test_it_says_where_and_when(written):
    item = read(written / "my map.stac.json")
    assert item.datetime == TIME
    projection = ProjectionExtension.ext(item)
    with rasterio.open(written / "my map.tif") as dataset:
        assert projection.code == "EPSG:32629"
        assert projection.shape == list(dataset.shape) == [4, 4]
        assert projection.transform == list(dataset.transform)[:6]
        assert projection.bbox == list(dataset.bounds)
        # The corners; edges bend by less than a metre.
        shape = warp.transform_geom(
            dataset.crs,
            "EPSG:4326",
            {
                "type": "Polygon",
                "coordinates": [
                    [
                        (dataset.bounds[x], dataset.bounds[y])
                        for x, y in ((0, 1), (2, 1), (2, 3), (0, 3), (0, 1))
                    ]
                ],
            },
        )
    ring = np.array(item.geometry["coordinates"][0])
    np.testing.assert_allclose(ring, shape["coordinates"][0], atol=1e-6)
    np.testing.assert_allclose(
        item.bbox, [*ring.min(axis=0), *ring.max(axis=0)], atol=1e-6
    )


def test_it_says_what_the_bands_are(written):
    item = read(written / "my map.stac.json")
    for key, name in (("data", ""), ("class", "_class")):
        bands = RasterExtension.ext(item.assets[key]).bands
        with rasterio.open(written / f"my map{name}.tif") as dataset:
            assert len(bands) == dataset.count
            for number, band in enumerate(bands):
                assert band.data_type == dataset.dtypes[number]
                assert band.properties["name"] == dataset.descriptions[number]
                assert band.unit == dataset.units[number]
                np.testing.assert_equal(float(band.nodata), dataset.nodata)
                assert band.spatial_resolution == 600
    classes = ClassificationExtension.ext(item.assets["class"]).classes
    with rasterio.open(written / "my map_class.tif") as dataset:
        colors = dataset.colormap(1)
    assert [c.value for c in classes] == list(range(20))
    assert [c.nodata for c in classes] == [True] + [None] * 19
    assert [c.to_dict()["title"] for c in classes[1:]] == list(
        bigearthnet.CLASSES_19
    )
    for own in classes[1:]:
        assert bytes.fromhex(own.color_hint) == bytes(colors[own.value][:3])
    names = [c.name for c in classes]
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalnum() for name in names)


def test_it_describes_the_model(written, model):
    item = read(written / "my map.stac.json")
    described = MLMExtension.ext(item)
    assert described.mlm_name == described.architecture == model.model
    assert described.total_parameters == model.num_parameters
    inputs = {x.name: x for x in described.input}
    assert set(inputs) == set(model.input_names)
    for name, own in inputs.items():
        grid = bigearthnet.GRIDS[name]
        assert tuple(own.bands) == grid.bands
        assert tuple(own.input.shape) == (-1, *grid.shape)
        assert own.input.data_type == grid.dtype
    (output,) = described.output
    assert output.result.shape == [-1, 19]
    assert [c.to_dict()["title"] for c in output.classes] == list(
        model.class_names
    )
    bands = RasterExtension.ext(item.assets["model"]).bands
    assert {band.properties["name"] for band in bands} == {
        band for name in model.input_names
        for band in bigearthnet.GRIDS[name].bands
    }  # fmt: skip
    assert item.properties["ben_tf:fingerprint"] == model.fingerprint
    assert item.properties["ben_tf:synthetic"] == "true"
    # The schema of the extension demands both of the asset of a model.
    asset = item.assets["model"]
    assert asset.roles == ["mlm:model"]
    assert asset.extra_fields["mlm:artifact_type"] == "tf.saved_model.save"


def test_it_names_what_it_was_made_of(written):
    item = read(written / "my map.stac.json")
    (link,) = item.get_links("derived_from")
    assert link.title == "T29_20170613T101031 #1.tif"
    assert link.href == "../T29_20170613T101031%20%231.tif"
    assert {
        uri.removeprefix("https://stac-extensions.github.io/").partition(".")[0]
        for uri in item.stac_extensions
    } == URIS


def test_a_map_of_polygons(model, workdir, tmp_path):
    scene.predict_scene(
        model,
        image_paths=[write_image(tmp_path / "x.tif")],
        output=tmp_path / "map.geojson",
        stac_request=stac.Request(
            workdir / "saved_model", TIME.replace(tzinfo=None)
        ),
    )
    item = read(tmp_path / "map.stac.json")
    assert item.datetime == TIME
    assert item.assets["data"].media_type == "application/geo+json"
    assert set(item.assets) == {"data", "model"}


def test_a_projection_without_a_number_is_written_out(model, workdir, tmp_path):
    image = write_image(tmp_path / "x.tif", crs=rasters.NO_EPSG)
    scene.predict_scene(
        model,
        image_paths=[image],
        output=tmp_path / "map.tif",
        stac_request=stac.Request(workdir / "saved_model", TIME),
    )
    projection = ProjectionExtension.ext(read(tmp_path / "map.stac.json"))
    assert projection.code is None
    with rasterio.open(tmp_path / "map.tif") as dataset:
        found = rasterio.crs.CRS.from_wkt(projection.wkt2)
        assert found == dataset.crs


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_of_patches(
    data_dir, workdir, tmp_path, monkeypatch, model, suffix
):
    monkeypatch.setattr(saved_model, "load", lambda path: model)
    path = tmp_path / f"labels.{suffix}"
    predicted = patches.predict(
        saved_model=workdir / "saved_model",
        data_dir=data_dir,
        output=path,
        batch_size=5,
        stac_request=stac.Request(workdir / "saved_model"),
    )
    item = read(tmp_path / "labels.stac.json")
    table = TableExtension.ext(item.assets["data"])
    assert table.row_count == predicted.num_patches
    assert item.datetime is None
    (link,) = item.get_links("derived_from")
    assert (tmp_path / link.href).resolve() == data_dir.resolve()
    if suffix == "csv":
        assert item.assets["data"].media_type == "text/csv"
        return
    content = parquet.read_table(path)
    assert [c.name for c in table.columns] == content.column_names
    assert table.primary_geometry == "geometry"
    (rows,) = list(data_dir.rglob("patches.parquet"))
    own = parquet.read_table(rows).to_pandas()
    own = own[own["patch_name"].isin(content["patch_name"].to_pylist())]
    days = [
        getattr(item.common_metadata, name).date().isoformat()
        for name in ("start_datetime", "end_datetime")
    ]
    assert days == [own["s2_time"].min()[:10], own["s2_time"].max()[:10]]
    left, bottom, right, top = item.bbox
    assert left < own["longitude"].min() < own["longitude"].max() < right
    assert bottom < own["latitude"].min() < own["latitude"].max() < top
    assert right - own["longitude"].max() < 0.03


def test_patches_that_lie_nowhere_and_have_no_time():
    extent = stac.Extent()
    extent.add(
        output_files.Patches(
            ["S2A_MSIL2A_20170613T101060_0_45", "no time"],
            np.array([32629, 32629]),
            np.array([[np.inf, 4.5e6], [np.nan, 0]]),
            [None, None],
        )
    )
    assert extent.corners is None
    assert extent.times is None
    assert extent.num_patches == 2


def test_a_time_that_nobody_knows_is_asked_for(model, tmp_path):
    image = write_image(tmp_path / "20171313T000000.tif")
    with pytest.raises(errors.UserError, match=r"000000\.tif was taken.*Set"):
        scene.predict_scene(
            model,
            image_paths=[image],
            output=tmp_path / "map.tif",
            stac_request=stac.Request("x"),
        )
    assert not list(tmp_path.glob("map*"))


def test_an_item_that_cannot_be_written_is_known_before(tmp_path):
    (tmp_path / "labels.stac.json").mkdir()
    with pytest.raises(IsADirectoryError, match=r"labels\.stac\.json"):
        patches.predict(
            saved_model="x",
            input_paths=["x"],
            output=tmp_path / "labels.csv",
            stac_request=stac.Request("x"),
        )


@pytest.mark.parametrize("module", ["pystac", "pystac.extensions.mlm"])
def test_without_pystac_the_extra_is_named(monkeypatch, tmp_path, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(errors.UserError, match=r"'\.\[stac\]'"):
        patches.predict(
            saved_model="x",
            input_paths=["x"],
            output=tmp_path / "labels.csv",
            stac_request=stac.Request("x"),
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2017-06-13T10:10:31Z", TIME),
        ("2017-06-13T12:10:31+02:00", TIME),
        ("2017-06-13", datetime.datetime(2017, 6, 13)),
    ],
)
def test_times(text, expected):
    assert stac.parse_time(text) == expected
    with pytest.raises(errors.UserError, match="`datetime=13 June`"):
        stac.parse_time("13 June")


def test_the_command(workdir, tmp_path):
    image = write_image(tmp_path / "x.tif")
    arguments = (
        "ben_tf.predict",
        f"--saved_model={workdir / 'saved_model'}",
        f"--image={image}",
        f"--output={tmp_path / 'map.tif'}",
        "--datetime=2017-06-13T10:10:31Z",
    )
    finished = in_process.run(*arguments)
    assert finished.returncode == 1
    assert "Expected --stac with it" in finished.stderr
    finished = in_process.run(*arguments, "--stac")
    assert finished.returncode == 0, finished.stderr
    assert "map.stac.json" in finished.stdout
    content = json.loads((tmp_path / "map.stac.json").read_text())
    assert content["properties"]["datetime"] == "2017-06-13T10:10:31Z"
