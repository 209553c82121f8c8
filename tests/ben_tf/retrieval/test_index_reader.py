"""Content that no search may trust is refused, digests or not."""

import datetime

import numpy as np
import pytest

from ben_tf import errors
from ben_tf.retrieval import index
from tests.ben_tf.retrieval import index_folders


def _change(path, name, change):
    """Changes an array, and the digests with it."""
    file = index_folders.data_file(path, name)
    array = np.load(file)
    change(array)
    np.save(file, array)
    index_folders.vouch(path)


def _set(place, value):
    def change(array):
        array[place] = value

    return change


def _code(value):
    """Puts a code in place of the last character of a name."""

    def change(names):
        codes = names.view(np.uint32).reshape(len(names), -1)
        codes[-1, -1] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("names.npy", _set(0, "z"), "not sorted"),
        ("names.npy", _set(1, "patch_0000"), "not sorted"),
        ("names.npy", _code(0x110000), "no text"),
        ("names.npy", _code(0xD800), "no text"),
        ("names.npy", _code(0x1B), "no text"),
        ("labels.npy", _set((5, 3), 2), "label is not 0 or 1"),
        ("labels.npy", _set((5, 3), 255), "label is not 0 or 1"),
        ("epsg.npy", _set(7, 0), "no zone of UTM"),
        ("epsg.npy", _set(7, -1), "no zone of UTM"),
        ("epsg.npy", _set(7, 4326 + 2**20), "no zone of UTM"),
        ("upper_left.npy", _set((7, 1), np.nan), "corner is nowhere"),
        ("upper_left.npy", _set((7, 1), -1e9), "corner is nowhere"),
        ("embeddings.npy", _set((7, 1), -1), "value is negative"),
    ],
)
@pytest.mark.parametrize("is_older", [False, True])
def test_impossible_content_is_refused(write, name, change, match, is_older):
    path = write()
    _change(path, name, change)
    if is_older:
        index_folders.make_older(path)
    with pytest.raises(errors.UserError, match=match) as caught:
        index.Index.open(path)
    assert name in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_embeddings_that_are_not_finite_are_named(write, value):
    path = write(distance="euclidean")
    _change(path, "embeddings.npy", _set(([3, 50], [7, 0]), value))
    with pytest.raises(
        errors.UserError,
        match="of 2 of 120 patches are NaN or infinite: patch_0003, patch_0050",
    ):
        index.Index.open(path)


@pytest.mark.parametrize("name", ["projection.npy", "means.npy"])
def test_what_makes_codes_is_finite(write, name):
    path = write(search="binary", bits=8)
    _change(path, name, _set((0, 0), np.nan))
    with pytest.raises(errors.UserError, match=f"{name}.*not finite"):
        index.Index.open(path)


def test_a_name_may_hold_any_letter(write, archive):
    names = archive["names"].astype("<U12")
    names[names == "patch_0119"] = "patch_é中\U0001f30d"
    opened = index.Index.open(write(names=names))
    assert opened.names[-1] == "patch_é中\U0001f30d"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("countries", 10),
        ("countries", 254),
        ("seasons", 4),
        ("splits", 1),
        ("days", 2**31 - 1),
        ("days", -(2**31) + 1),
    ],
)
def test_what_cannot_be_looked_up_is_refused(write, name, value):
    path = write()
    _change(path, f"{name}.npy", _set(3, value))
    with pytest.raises(errors.UserError, match=rf"{name}\.npy.*(unknown|none)"):
        index.Index.open(path)


def test_an_index_of_before_knows_days_from_names_alone(write, archive):
    names = archive["names"].astype("<U40")
    names[names == "patch_0003"] = "patch_0003_20170613T101031_1"
    path = write(names=names)
    index_folders.make_older(path)
    (patch,) = index.Index.open(path).describe(np.array([3]))
    assert patch.name == "patch_0003_20170613T101031_1"
    assert patch.date == datetime.date(2017, 6, 13)
    assert (patch.country, patch.season, patch.split) == (None,) * 3
