"""The table of patches against rasterio and the records."""

import geopandas
import pandas
import pytest
import rasterio
import tensorflow_datasets as tfds
from rasterio import warp

from ben_tf import bigearthnet
from tfrecords_builder import dataset


@pytest.fixture(scope="module")
def builder(real_archive, tmp_path_factory):
    return dataset.build(
        archive_dir=real_archive, data_dir=tmp_path_factory.mktemp("data")
    )


@pytest.fixture(scope="module")
def table(builder) -> pandas.DataFrame:
    return pandas.read_parquet(builder.data_path / "patches.parquet")


def test_rows_are_the_records_in_their_order(builder, table):
    for split, info in builder.info.splits.items():
        rows = table[table["split"] == split].to_dict("records")
        examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
        assert len(rows) == len(examples) == info.num_examples
        for row, example in zip(rows, examples, strict=True):
            assert row["patch_name"] == example["patch_name"].decode()
            assert row["s1_name"] == example["s1_name"].decode()
            assert row["s1_time"] == example["s1_time"].decode()
            assert row["s2_time"] == example["s2_time"].decode()
            for name in ("epsg", "seasonal_snow", "cloud_or_shadow"):
                assert row[name] == example[name]
            corner = [row["easting"], row["northing"]]
            assert corner == list(example["upper_left"])
            assert row["country"] == bigearthnet.COUNTRIES[example["country"]]
            assert row["season"] == bigearthnet.SEASONS[example["season"]]
            for number, classes in bigearthnet.CLASSES.items():
                name = f"labels_{number}"
                assert list(row[name]) == [classes[i] for i in example[name]]


def test_centres_are_those_of_the_files(real_archive, table):
    assert len(table) == 6
    for row in table.to_dict("records"):
        patch = row["patch_name"]
        path = next(real_archive.glob(f"*/{patch}/*_B01.tif"))
        with rasterio.open(path) as source:
            left, bottom, right, top = warp.transform_bounds(
                source.crs, "EPSG:4326", *source.bounds
            )
        # The box around the turned square shares its centre nearly.
        assert row["longitude"] == pytest.approx((left + right) / 2, abs=1e-4)
        assert row["latitude"] == pytest.approx((bottom + top) / 2, abs=1e-4)


def test_geopandas_opens_it_as_a_map(builder, real_archive, table):
    frame = geopandas.read_parquet(builder.data_path / "patches.parquet")
    assert frame.crs.equals("OGC:CRS84")
    assert list(frame.columns) == list(table.columns)
    for row in frame.itertuples():
        path = next(real_archive.glob(f"*/{row.patch_name}/*_B01.tif"))
        with rasterio.open(path) as source:
            box = geopandas.GeoSeries.from_wkt(
                [
                    "POLYGON(({0} {1}, {2} {1}, {2} {3}, {0} {3}, {0} {1}))"
                    .format(*source.bounds)
                ],
                crs=source.crs.to_wkt(),
            )  # fmt: skip
        (expected,) = box.to_crs("EPSG:4326")
        assert row.geometry.equals_exact(expected, 1e-9)
        assert row.geometry.exterior.is_ccw


def test_a_column_for_each_class_says_what_the_list_says(table):
    for row in table.to_dict("records"):
        present = [name for name in bigearthnet.CLASSES_19 if row[name]]
        assert sorted(row["labels_19"]) == sorted(present)
    types = table[list(bigearthnet.CLASSES_19)].dtypes.astype(str)
    assert (types == "bool").all()
