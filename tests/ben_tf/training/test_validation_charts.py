"""TensorBoard's own reader finds curves and patches as NumPy has them."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from ben_tf import bigearthnet
from ben_tf import saved_model
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.metrics import streaming
from ben_tf.training import devices
from ben_tf.training import runs
from ben_tf.training import validation_charts

CLASSES = bigearthnet.CLASSES[19]


def _read(folder):
    reader = event_accumulator.EventAccumulator(
        str(folder), size_guidance={"tensors": 0}
    )
    reader.Reload()
    return reader


def _values(reader, tag):
    """Step -> array."""
    return {
        event.step: tf.make_ndarray(event.tensor_proto)
        for event in reader.Tensors(tag)
    }


@pytest.fixture(scope="module")
def logs(workdir):
    """What the run of the fixture, of one epoch, has written."""
    return _read(workdir / "logs" / "validation")


@pytest.fixture(scope="module")
def patches(data_dir):
    """The first four patches of the validation split."""
    return next(
        iter(
            input_pipeline.native_batches(
                built_dataset.open_dataset(data_dir),
                "validation",
                grids=tuple(bigearthnet.GRIDS),
                batch_size=4,
                metadata=("patch_name",),
            )
        )
    )


def test_each_class_has_a_curve_an_epoch(logs):
    tags = [tag for tag in logs.Tags()["tensors"] if "pr_curves" in tag]
    assert sorted(tags) == sorted(
        f"curves/{name}/pr_curves" for name in CLASSES
    )
    for tag in tags:
        metadata = logs.SummaryMetadata(tag)
        assert metadata.plugin_data.plugin_name == "pr_curves"
        assert list(_values(logs, tag)) == [1]


def test_predicted_labels_are_those_of_the_exported_model(
    logs, patches, workdir
):
    """The only epoch is the best one."""
    model = saved_model.load(workdir / "saved_model")
    probabilities = model.serve(patches["inputs"]).numpy()
    ((step, text),) = _values(logs, "patches").items()
    assert step == 1
    notice, _, _, _, *rows = text.item().decode().splitlines()
    assert notice.startswith("Synthetic patches: ")
    for row, name, labels, scores in zip(
        rows,
        patches["patch_name"].numpy(),
        patches["labels"].numpy(),
        probabilities,
        strict=True,
    ):
        shown, true, predicted = row.strip("| ").split(" | ")
        assert shown.endswith(f": {name.decode()}")
        assert true == ", ".join(np.array(CLASSES)[labels > 0])
        expected = {CLASSES[i] for i in np.flatnonzero(scores >= 0.5)}
        names = {x for x in CLASSES if f"{x} 0." in predicted}
        names |= {x for x in CLASSES if f"{x} 1." in predicted}
        assert names == expected


def test_pictures_are_of_these_patches_and_stand_once(logs, patches):
    for place in range(4):
        for title in (
            "Sentinel-2, true colour",
            "Sentinel-1, VV, VH, VV - VH",
        ):
            tag = f"patch {place + 1}/{title}"
            ((step, (_, _, png)),) = _values(logs, tag).items()
            assert step == 0
            pixels = np.asarray(Image.open(io.BytesIO(png)))
            assert pixels.shape == (120, 120, 3)
            # The first channel: B04, or VV.
            grid, band = ("s2_10m", 2) if "colour" in title else ("s1", 0)
            raw = patches["inputs"][grid][place].numpy()[..., band]
            order = np.argsort(raw, axis=None)
            assert (
                np.diff(pixels[..., 0].ravel()[order].astype(int)) >= 0
            ).all()
    assert f"patch {5}/Sentinel-2, true colour" not in logs.Tags()["tensors"]


def test_a_stretch_by_hand():
    mean = bigearthnet.PAPER_STATISTICS.mean["VV"]
    std = bigearthnet.PAPER_STATISTICS.std["VV"]
    s1 = np.zeros((120, 120, 2), np.float32)
    s1[..., 0] = mean
    s1[0, :4, 0] = mean + std * np.array([-3, -2, 2, 9])
    s1[..., 1] = mean - 7.5
    ((_, pixels),) = validation_charts._pictures({"s1": s1}).items()
    assert pixels[0, :4, 0].tolist() == [0, 0, 255, 255]
    assert (pixels[5, 5, 0], pixels[5, 5, 2]) == (127, 127)


def _curve_of(folder, name, labels, probabilities):
    metric = streaming.streaming_metric("macro_average_precision", 1)
    metric.update_state(labels[:, None], probabilities[:, None])
    positives, everything = metric.counts_by_score()
    curve = validation_charts._pr_curve(name, positives[0], everything[0])
    with tf.summary.create_file_writer(str(folder)).as_default(step=3):
        tf.summary.experimental.write_raw_pb(curve.SerializeToString(), step=3)
    return _values(_read(folder), f"curves/{name}/pr_curves")[3]


def test_a_curve_counts_what_lies_above_each_threshold(tmp_path):
    random = np.random.default_rng(0)
    labels = random.random(500) < 0.3
    # Between the edges of bins.
    probabilities = (random.integers(0, 1000, 500) + 0.5).astype("f4") / 1000
    found = _curve_of(tmp_path, "x", labels, probabilities)
    for column, threshold in enumerate(np.linspace(0, 1, 101)):
        above = probabilities > threshold - 1e-6
        true = (labels & above).sum()
        expected = [
            true,
            above.sum() - true,
            (~labels & ~above).sum(),
            (labels & ~above).sum(),
            true / max(above.sum(), 1),
            true / labels.sum(),
        ]
        np.testing.assert_allclose(found[:, column], expected, rtol=1e-6)


def test_a_curve_of_a_class_without_labels(tmp_path):
    found = _curve_of(tmp_path, "x", np.zeros(3, bool), np.full(3, 0.7, "f4"))
    assert np.isfinite(found).all()
    assert not found[[0, 4, 5]].any()


@pytest.mark.parametrize(
    "changes",
    [
        {"fusion": "shared", "preprocessing": "device", "num_classes": 43},
        {"modality": "S2", "tensorboard_patches": 0},
    ],
)
def test_other_runs(tiny_config, tmp_path, changes):
    config = dataclasses.replace(tiny_config, **changes)
    run = runs.make_run(
        config,
        built_dataset.open_dataset(config.data_dir),
        devices.make_devices("one_device"),
    )
    charts = validation_charts.ValidationCharts(
        run, num_patches=config.tensorboard_patches
    )
    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=2):
        charts.write_pictures()
        charts.write_epoch()
    tags = _read(tmp_path).Tags()["tensors"]
    num_curves = sum(tag.endswith("pr_curves") for tag in tags)
    assert num_curves == config.num_classes
    num_pictures = sum(tag.startswith("patch ") for tag in tags)
    assert num_pictures == 2 * config.tensorboard_patches
    assert ("patches" in tags) == (num_pictures > 0)
