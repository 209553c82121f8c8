"""`tfds.show_examples` and `tfds.as_dataframe`, the real ones."""

import json
import shutil

import matplotlib as mpl
import numpy as np
import pytest
import tensorflow_datasets as tfds
from matplotlib import pyplot as plt

from ben_tf import errors
from tfrecords_builder import dataset
from tfrecords_builder import patch_pictures


@pytest.fixture(autouse=True)
def _no_window():
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def load(data_dir, name="bigearthnet_mm", **options):
    return tfds.load(
        name,
        data_dir=data_dir,
        split="train",
        with_info=True,
        **options,
    )


def check_figure(figure, records, num_patches) -> None:
    """Red, green and blue are B04, B03 and B02; 2000 is white."""
    assert len(figure.axes) == num_patches
    patches = tfds.as_numpy(records.take(num_patches))
    for axes, patch in zip(figure.axes, patches, strict=True):
        (image,) = axes.images
        colours = patch["s2_10m"][..., [2, 1, 0]].astype(float)
        np.testing.assert_array_equal(
            image.get_array(), np.rint(np.minimum(colours / 2000, 1) * 255)
        )


def test_patches_are_shown_in_true_colour(data_dir):
    records, info = load(data_dir)
    figure = tfds.show_examples(
        records, info, rows=2, cols=2, label_key="country"
    )
    check_figure(figure, records, 4)
    names = info.features["country"].names
    for axes, patch in zip(figure.axes, records, strict=False):
        assert axes.get_xlabel().startswith(names[patch["country"]])


def test_batches_and_version_2_are_shown(v2_data_dir):
    version_2 = "bigearthnet_mm/v2"
    records, info = load(v2_data_dir, version_2)
    figure = tfds.show_examples(records, info, rows=1, cols=3)
    check_figure(figure, records, 3)
    # Labels in batches have one length; pictures do not need them.
    pixels, info = load(
        v2_data_dir,
        version_2,
        decoders=tfds.decode.PartialDecoding({"s2_10m": True}),
        batch_size=4,
    )
    figure = tfds.show_examples(pixels, info, is_batched=True, rows=1, cols=3)
    check_figure(figure, records, 3)


def test_a_dataset_that_was_built_before_is_shown(data_dir, tmp_path):
    copy = shutil.copytree(data_dir, tmp_path / "data")
    (metadata,) = copy.glob("*/*/1.0.0/metadata.json")
    metadata.write_text('{"synthetic": true, "has_maps": false, "part": ""}')
    records, info = load(copy)
    assert info.metadata["synthetic"] is True
    check_figure(tfds.show_examples(records, info), records, 9)


def test_array_records_are_shown(real_archive, tmp_path):
    builder = dataset.build(
        archive_dir=real_archive, data_dir=tmp_path, file_format="array_record"
    )
    source = builder.as_data_source("train")
    figure = tfds.show_examples(source, builder.info, rows=1, cols=2)
    for axes, patch in zip(figure.axes, source, strict=False):
        red = patch["s2_10m"][..., 2].astype(float)
        np.testing.assert_array_equal(
            axes.images[0].get_array()[..., 0],
            np.rint(np.minimum(red / 2000, 1) * 255),
        )


def test_what_has_no_pixels_cannot_be_shown(data_dir):
    names, info = load(
        data_dir, decoders=tfds.decode.PartialDecoding({"patch_name": True})
    )
    with pytest.raises(errors.UserError, match="shown without `s2_10m`"):
        tfds.show_examples(names, info)


def test_without_this_package_tfds_says_that_it_shows_none(
    data_dir, monkeypatch
):
    """Not that a bool is not iterable."""
    monkeypatch.setattr(
        patch_pictures.PairVisualizer, "match", lambda *_: False
    )
    records, info = load(data_dir)
    with pytest.raises(ValueError, match="not supported"):
        tfds.show_examples(records, info)


def test_a_dataframe_has_the_values(data_dir):
    records, info = load(data_dir)
    table = tfds.as_dataframe(records.take(3), info)
    for row, patch in zip(
        table.to_dict("records"), tfds.as_numpy(records), strict=False
    ):
        assert row["patch_name"] == patch["patch_name"]
        np.testing.assert_array_equal(row["s1"], patch["s1"])
        np.testing.assert_array_equal(row["labels_19"], patch["labels_19"])
    assert "<table" in table._repr_html_()


def test_metadata_say_what_they_did(data_dir, v2_data_dir):
    for folder, expected in ((data_dir, False), (v2_data_dir, True)):
        (path,) = folder.glob("*/*/1.0.0/metadata.json")
        written = json.loads(path.read_text())
        metadata = tfds.builder_from_directory(path.parent).info.metadata
        assert dict(metadata) == written
        assert bool(metadata["synthetic"]) is True
        assert bool(metadata["has_maps"]) is expected
        assert metadata["part"] == ""
