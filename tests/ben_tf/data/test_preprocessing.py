"""Preprocessing equals TensorFlow 1's and NumPy's; every op runs under XLA."""

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf.data import preprocessing


@pytest.fixture
def raw() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        name: random.uniform(0, 3000, (3, *grid.shape)).astype(grid.dtype)
        for name, grid in bigearthnet.GRIDS.items()
    }


def _run(function, *args, how: str, **kwargs):
    """Eagerly, or compiled inside tf.data: the two may differ."""
    if how == "eager":
        return function(*args, **kwargs)
    compiled = tf.function(
        lambda *inputs: function(*inputs, **kwargs), jit_compile=True
    )
    dataset = tf.data.Dataset.from_tensors(args).map(compiled)
    return next(iter(dataset))


HOW = pytest.mark.parametrize("how", ["eager", "tf.data"])


@pytest.mark.slow
@HOW
@pytest.mark.parametrize("height", [60, 20, 5, 1])
def test_upsampling_equals_tensorflow_1(height, how):
    random = np.random.default_rng(1)
    images = random.normal(size=(2, height, height, 3)).astype(np.float32)
    ours = _run(
        preprocessing.upsample_cubic, tf.constant(images), how=how, size=120
    )
    theirs = tf.compat.v1.image.resize_bicubic(images, (120, 120))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@HOW
@pytest.mark.parametrize("height", [120, 60, 20])
def test_nearest_upsampling_equals_tensorflow(height, how):
    random = np.random.default_rng(1)
    images = random.normal(size=(2, height, height, 3)).astype(np.float32)
    ours = _run(
        preprocessing.upsample_nearest, tf.constant(images), how=how, size=120
    )
    theirs = tf.compat.v1.image.resize_nearest_neighbor(images, (120, 120))
    np.testing.assert_array_equal(ours, theirs)


def test_other_statistics_and_upsampling(raw):
    """The figures of v2.0, typed once more from its source."""
    prepare = preprocessing.Preprocessing(
        "S2",
        statistics=bigearthnet.STATISTICS["v2"],
        upsampling="nearest",
    )
    s2 = prepare(raw)["s2"]
    b8a = (raw["s2_20m"][..., 3].astype(np.float64) - 2235.5566) / 1356.5441
    np.testing.assert_allclose(
        s2[..., 7], b8a.repeat(2, axis=1).repeat(2, axis=2), atol=1e-5
    )
    b02 = (raw["s2_10m"][..., 0].astype(np.float64) - 438.3721) / 607.0269
    np.testing.assert_allclose(s2[..., 0], b02, atol=1e-5)


@HOW
def test_stacked_inputs(raw, how):
    outputs = _run(preprocessing.Preprocessing(bands_60m=True), raw, how=how)
    assert {name: x.shape[1:] for name, x in outputs.items()} == {
        "s1": (120, 120, 2),
        "s2": (120, 120, 12),
    }
    assert {x.dtype for x in outputs.values()} == {tf.float32}
    for position, band in enumerate(("B02", "B03", "B04", "B08")):
        expected = (
            raw["s2_10m"][..., position].astype(np.float64)
            - bigearthnet.PAPER_STATISTICS.mean[band]
        ) / bigearthnet.PAPER_STATISTICS.std[band]
        np.testing.assert_allclose(
            outputs["s2"][..., position], expected, atol=1e-5
        )
    # Even pixels of a cubic doubling are copies.
    expected = (
        raw["s2_20m"][..., 3].astype(np.float64)
        - bigearthnet.PAPER_STATISTICS.mean["B8A"]
    ) / bigearthnet.PAPER_STATISTICS.std["B8A"]
    assert preprocessing.S2_STACK_BANDS[7] == "B8A"
    np.testing.assert_allclose(
        outputs["s2"][:, ::2, ::2, 7], expected, atol=1e-5
    )
    # The 60 m bands come last; every sixth pixel is a copy.
    expected = (
        raw["s2_60m"][..., 1].astype(np.float64)
        - bigearthnet.PAPER_STATISTICS.mean["B09"]
    ) / bigearthnet.PAPER_STATISTICS.std["B09"]
    assert preprocessing.S2_STACK_BANDS[11] == "B09"
    np.testing.assert_allclose(
        outputs["s2"][:, ::6, ::6, 11], expected, atol=1e-5
    )


def test_the_first_ten_bands_do_not_depend_on_those_of_60_m(raw):
    with_them = preprocessing.Preprocessing(bands_60m=True)(raw)["s2"]
    without = preprocessing.Preprocessing(bands_60m=False)(raw)["s2"]
    np.testing.assert_array_equal(with_them[..., :10], without)


def test_vh_is_not_vv(raw):
    """The authors' reader returned VV twice (bigearthnet-models-tf 1.1.1)."""
    s1 = preprocessing.Preprocessing("S1")(raw)["s1"]
    vh = (
        s1[..., 1] * bigearthnet.PAPER_STATISTICS.std["VH"]
        + bigearthnet.PAPER_STATISTICS.mean["VH"]
    )
    np.testing.assert_allclose(vh, raw["s1"][..., 1], rtol=1e-5)


def test_vh_is_vv_if_asked_for(raw):
    """Scaled with the statistics of VH, as the authors' feed_dict does."""
    before = raw["s1"].copy()
    s1 = preprocessing.Preprocessing("MM", duplicate_vv=True)(raw)["s1"]
    for position, band in enumerate(("VV", "VH")):
        values = (
            s1[..., position] * bigearthnet.PAPER_STATISTICS.std[band]
            + bigearthnet.PAPER_STATISTICS.mean[band]
        )
        np.testing.assert_allclose(
            values, raw["s1"][..., 0], rtol=1e-5, atol=1e-3
        )
    np.testing.assert_array_equal(raw["s1"], before)


@pytest.mark.parametrize(
    ("layout", "modality", "bands_60m", "expected"),
    [
        ("stacked", "MM", None, ("s1", "s2_10m", "s2_20m")),
        ("stacked", "MM", True, ("s1", "s2_10m", "s2_20m", "s2_60m")),
        ("stacked", "S1", None, ("s1",)),
        ("native", "S2", None, ("s2_10m", "s2_20m", "s2_60m")),
        ("native", "S2", False, ("s2_10m", "s2_20m")),
    ],
)
def test_shapes_are_those_of_the_outputs(
    raw, layout, modality, bands_60m, expected
):
    prepare = preprocessing.Preprocessing(modality, layout, bands_60m)
    assert prepare.raw_grids == expected
    outputs = prepare({name: raw[name] for name in expected})
    assert {
        name: tuple(x.shape[1:]) for name, x in outputs.items()
    } == prepare.input_shapes


@pytest.mark.parametrize("layout", preprocessing.LAYOUTS)
def test_parts_for_one_sensor_make_up_the_whole(raw, layout):
    whole = preprocessing.Preprocessing("MM", layout, duplicate_vv=True)
    outputs = whole.of("S1")(raw) | whole.of("S2")(raw)
    expected = whole(raw)
    assert outputs.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(outputs[name], values)


@pytest.mark.parametrize(
    "names",
    [{"modality": "S3"}, {"layout": "flat"}, {"upsampling": "linear"}],
)
def test_unknown_names_are_refused(names):
    ((what, value),) = names.items()
    with pytest.raises(ValueError, match=f"Unknown {what}.*'{value}'"):
        preprocessing.Preprocessing(**names)


def _symmetries(image: np.ndarray) -> list[bytes]:
    turns = [np.rot90(image, k) for k in range(4)]
    return [x.tobytes() for turn in turns for x in (turn, np.fliplr(turn))]


@HOW
def test_augmentation_draws_all_symmetries_alike(how):
    size = 4
    image = np.arange(size * size, dtype=np.uint16).reshape(size, size, 1)
    batch = np.repeat(image[None], 400, axis=0)
    seed = np.array([3, 4])
    outputs = _run(
        lambda a, b, seed: preprocessing.augment({"a": a, "b": b}, seed=seed),
        batch,
        np.concatenate([batch, batch], axis=-1).astype(np.float32),
        seed,
        how=how,
    )
    # All grids of a patch move together.
    np.testing.assert_array_equal(outputs["b"][..., :1], outputs["a"])
    np.testing.assert_array_equal(outputs["b"][..., 1:], outputs["a"])
    counts = [
        sum(x.tobytes() == symmetry for x in outputs["a"].numpy())
        for symmetry in _symmetries(image)
    ]
    assert sum(counts) == 400
    assert min(counts) > 25  # Expected 50, standard deviation 6.6.


def test_augmentation_is_a_function_of_the_seed():
    images = np.random.default_rng(0).normal(size=(16, 6, 6, 2))
    first, same, other = (
        preprocessing.augment({"s1": images}, seed=[0, step])["s1"]
        for step in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)
