"""One function of all endpoints, and a comparison that finds differences."""

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.exchange import network


def test_all_endpoints_are_outputs(served, raw, expected):
    answers = network.function_of(served)(raw)
    assert answers.keys() == expected.keys()
    for name, answer in answers.items():
        np.testing.assert_allclose(answer, expected[name], atol=1e-5)


def test_grids_may_come_as_another_dtype(served, raw, expected):
    function = network.function_of(served, dtype="float32")
    answers = function({k: x.astype(np.float32) for k, x in raw.items()})
    np.testing.assert_allclose(
        answers["probabilities"], expected["probabilities"], atol=1e-6
    )


def test_random_patches_look_like_the_bands(served):
    patches = network.random_patches(served, 2)
    assert patches.keys() == set(bigearthnet.GRIDS)
    for name, array in patches.items():
        grid = bigearthnet.GRIDS[name]
        assert array.shape == (2, *grid.shape)
        assert array.dtype == grid.dtype
    means = patches["s1"].mean(axis=(0, 1, 2))
    expected = [served.statistics.mean[band] for band in ("VV", "VH")]
    np.testing.assert_allclose(means, expected, atol=0.2)
    again = network.random_patches(served, 2)
    np.testing.assert_array_equal(patches["s2_60m"], again["s2_60m"])


def _convert(served, change):
    """A conversion whose answers are changed."""
    function = network.function_of(served)

    def convert(patches):
        answers = {k: x.numpy().copy() for k, x in function(patches).items()}
        change(answers)
        return answers

    return convert


def _set(name, value):
    def change(answers):
        answers[name][-1, -1] += value

    return change


@pytest.mark.parametrize("name", ["probabilities", "embedding_s2"])
def test_the_largest_difference_is_returned(served, name):
    difference = network.check_conversion(
        served, _convert(served, _set(name, 1e-4)), what="X", tolerance=1e-3
    )
    assert difference == pytest.approx(1e-4, rel=0.01)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set("probabilities", 2e-3), "`probabilities` of 1 .* by 0.002"),
        (_set("embedding", np.nan), "`embedding` .* by nan"),
        (lambda answers: answers.pop("embedding_s1"), "`embedding_s1` .* inf"),
    ],
)
def test_a_conversion_that_answers_otherwise_is_refused(served, change, named):
    with pytest.raises(errors.UserError, match=f"not written as X: .*{named}"):
        network.check_conversion(
            served, _convert(served, change), what="X", tolerance=1e-3
        )


def test_a_batch_size_in_the_graph_is_noticed(served):
    function = network.function_of(served)

    def convert(patches):
        one = {name: array[:1] for name, array in patches.items()}
        return {name: x.numpy() for name, x in function(one).items()}

    with pytest.raises(errors.UserError, match=r"of 3 random patches .* inf"):
        network.check_conversion(served, convert, what="X", tolerance=1e-3)


@pytest.mark.parametrize(
    ("expected", "received", "difference"),
    [
        ([[0.5, -0.25]], [[0.5, -0.125]], 0.125),
        # 0.5 of 2,000.
        ([[1000, -2000]], [[1000.5, -2000]], 2.5e-4),
    ],
)
def test_values_beyond_1_are_compared_by_their_size(
    expected, received, difference
):
    found = network.difference(np.float32(expected), np.float32(received))
    assert found == pytest.approx(difference)
