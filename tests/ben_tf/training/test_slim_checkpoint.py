"""Checkpoints of TF-Slim's own networks give the same logits in ours."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import models
from ben_tf.training import slim_checkpoint
from tests.ben_tf.models import zero_weights
from tests.ben_tf.training import slim_networks

pytestmark = pytest.mark.slow


def _bands(seed: int = 0) -> dict[str, np.ndarray]:
    """Band -> (2, 120, 120) standardised pixels, different for each band."""
    random = np.random.default_rng(seed)
    return {
        band: random.normal(size=(2, 120, 120)).astype(np.float32)
        for band in slim_checkpoint.AUTHORS_BANDS
    }


def _stack(bands, names) -> np.ndarray:
    return np.stack([bands[name] for name in names], axis=-1)


def _ours(model: tf.keras.Model, bands) -> np.ndarray:
    """Logits for bands in our order."""
    stacks = {
        "s1": _stack(bands, bigearthnet.S1_BANDS),
        "s2": _stack(
            bands,
            bigearthnet.GRIDS["s2_10m"].bands
            + bigearthnet.GRIDS["s2_20m"].bands,
        ),
    }
    network = tf.keras.Model(model.input, model.get_layer("logits").output)
    return network(
        {name: stacks[name] for name in model.input}, training=False
    ).numpy()


@pytest.fixture(scope="module")
def bands() -> dict[str, np.ndarray]:
    return _bands()


@pytest.fixture
def small():
    with slim_networks.small():
        yield


@pytest.fixture(scope="module")
def released(tmp_path_factory, bands) -> pathlib.Path:
    """A folder with the checkpoint of a shallow ResNet for both sensors."""
    folder = tmp_path_factory.mktemp("released")
    with slim_networks.small():
        slim_networks.save(
            folder / "iteration-7",
            "resnet50",
            _stack(bands, slim_checkpoint.AUTHORS_BANDS),
            num_classes=19,
        )
    return folder


@pytest.fixture(scope="module")
def model() -> tf.keras.Model:
    """The network of `released`, with other weights."""
    with slim_networks.small():
        return models.make_model("resnet50", fusion="early")


def test_resnet_on_both_sensors(bands, tmp_path):
    """The network in full, as the authors released it."""
    expected = slim_networks.save(
        tmp_path / "iteration-7",
        "resnet50",
        _stack(bands, slim_checkpoint.AUTHORS_BANDS),
        num_classes=19,
    )
    model = models.make_model("resnet50", fusion="early")
    slim_checkpoint.read_model(tmp_path, model, modality="MM")
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(
        _ours(model, bands), expected, rtol=1e-4, atol=1e-4
    )
    # Bands in another order would not have given them.
    others = bands | {"B02": bands["B04"], "B04": bands["B02"]}
    assert not np.allclose(_ours(model, others), expected, atol=1e-2)


def test_vgg_on_sentinel_2(small, bands, tmp_path):
    expected = slim_networks.save(
        tmp_path / "iteration-7",
        "vgg16",
        _stack(bands, slim_checkpoint.AUTHORS_BANDS[:10]),
        num_classes=43,
    )
    model = models.make_model("vgg16", modality="S2", num_classes=43)
    slim_checkpoint.read_model(tmp_path / "iteration-7", model, modality="S2")
    np.testing.assert_allclose(
        _ours(model, bands), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", ["vgg19", "resnet101"])
def test_every_variable_has_one_counterpart(name):
    with zero_weights.zero_weights():
        model = models.make_model(name, fusion="early")
    theirs = slim_networks.variables(name, num_bands=12, num_classes=19)
    ours = slim_checkpoint.backbone_variables(model, backbone="s2_s1")
    head = set(theirs) - set(ours)
    assert len(ours) == len(model.weights) - 2
    assert {x.rpartition("/")[2] for x in head} == {"weights", "biases"}
    assert len(head) == 2
    assert {x: tuple(v.shape) for x, v in ours.items()} == {
        x: theirs[x] for x in ours
    }


def test_the_first_format_and_the_backbone_alone(small, tmp_path, bands):
    """TF-Slim's ImageNet weights: one file, another classifier."""
    images = _stack(bands, ("B04", "B03", "B02"))
    slim_networks.save(
        tmp_path / "resnet_v1_50.ckpt",
        "resnet50",
        images,
        num_classes=1000,
        first_format=True,
    )
    assert (tmp_path / "resnet_v1_50.ckpt").is_file()
    shapes = slim_networks.variables("resnet50", num_bands=3, num_classes=9)
    wanted = {x: s for x, s in shapes.items() if "/logits/" not in x}
    values = slim_checkpoint.read_backbone(
        tmp_path / "resnet_v1_50.ckpt", "resnet50", wanted
    )
    assert {x: v.shape for x, v in values.items()} == wanted


def test_left_over_variables_are_named_on_both_sides(small, released):
    model = models.make_model("resnet101", fusion="early")
    before = model.get_layer("s2_s1_conv1").kernel.numpy()
    with pytest.raises(errors.UserError) as error:
        slim_checkpoint.read_model(released, model, modality="MM")
    message = str(error.value)
    reader = tf.train.load_checkpoint(str(released / "iteration-7"))
    for name in reader.get_variable_to_shape_map():
        known = name.endswith(("Adam", "Adam_1", "_power", "global_step"))
        assert (f" {name}" in message) != known, name
    for name in slim_checkpoint.backbone_variables(model, backbone="s2_s1"):
        assert f" {name}" in message
    np.testing.assert_array_equal(model.get_layer("s2_s1_conv1").kernel, before)


@pytest.mark.parametrize(
    ("modality", "num_classes", "expected"),
    [
        ("S2", 19, r"conv1/weights \[7, 7, 12, 64\], expected \[7, 7, 10"),
        ("MM", 43, r"logits/biases \[19\], expected \[43\]"),
    ],
)
def test_other_shapes_are_refused(
    small, released, modality, num_classes, expected
):
    model = models.make_model(
        "resnet50", modality=modality, fusion="early", num_classes=num_classes
    )
    with pytest.raises(errors.UserError, match=expected):
        slim_checkpoint.read_model(released, model, modality=modality)


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path):
    content = bytearray(path.read_bytes())
    for i in range(1000, len(content), len(content) // 50):
        content[i] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip])
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_damage_is_noticed(released, model, tmp_path, damage, part):
    copy = shutil.copytree(released, tmp_path / "copy")
    damage(copy / f"iteration-7.{part}")
    with pytest.raises(errors.UserError, match="damaged or not one"):
        slim_checkpoint.read_model(copy, model, modality="MM")


def test_values_that_are_not_finite_are_refused(tmp_path):
    variables = {"a/weights": tf.constant([1.0, np.nan])}
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "x"),
        tensor_names=list(variables),
        shape_and_slices=[""],
        tensors=list(variables.values()),
    )
    reader = slim_checkpoint.open_checkpoint(tmp_path / "x.index")
    with pytest.raises(errors.UserError, match="not finite, in a/wei"):
        slim_checkpoint.read_values(reader, {"a/weights": (2,)}, tmp_path)


@pytest.mark.parametrize(
    ("names", "path", "expected"),
    [
        ((), "", "Found 0"),
        (("a.index", "b.index"), "", "Found 2 .*a; b"),
        ((), "iteration-7", "No checkpoint found"),
        (("iteration-7",), "iteration-7", "damaged or not one"),
    ],
)
def test_paths_that_lead_nowhere(tmp_path, names, path, expected):
    for name in names:
        (tmp_path / name).write_bytes(b"no checkpoint")
    with pytest.raises(errors.UserError, match=expected):
        slim_checkpoint.open_checkpoint(tmp_path / path)


def test_networks_that_tf_slim_does_not_have():
    with pytest.raises(ValueError, match="'k_branch_cnn'"):
        slim_checkpoint.network_name("k_branch_cnn")
