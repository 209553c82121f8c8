"""The facts agree with each other and with the official lists."""

import ast
import collections
import importlib.util
import pathlib

import pytest

from ben_tf import bigearthnet
from ben_tf.archive import official_lists


def _official_constants() -> dict:
    """The literals in bigearthnet-common's constants.py, without importing."""
    spec = importlib.util.find_spec("bigearthnet_common")
    folder = pathlib.Path(spec.submodule_search_locations[0])
    constants = {}
    for node in ast.parse((folder / "constants.py").read_text()).body:
        if isinstance(node, ast.Assign):
            try:
                constants[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue  # Computed, not a literal.
    return constants


def test_classes_agree_with_the_official_package():
    constants = _official_constants()
    official = constants["OLD2NEW_LABELS_DICT"]
    assert dict(bigearthnet.CLASS_43_TO_19) == official
    assert bigearthnet.CLASSES_43 == tuple(official)
    assert bigearthnet.CLASSES_19 == constants["NEW_LABELS_ORIGINAL_ORDER"]


def test_sizes_of_the_nomenclatures():
    parents = collections.Counter(bigearthnet.CLASS_43_TO_19.values())
    assert len(bigearthnet.CLASSES_43) == 43
    assert len(bigearthnet.CLASSES_19) == 19
    # Paper, section II: 10 classes kept, 22 grouped into 9, 11 removed.
    dropped = parents.pop(None)
    assert dropped == 11
    assert sum(count == 1 for count in parents.values()) == 10
    assert sum(count for count in parents.values() if count > 1) == 22


def test_labels_are_mapped_by_name():
    assert bigearthnet.labels_43_to_19(
        [
            "Sea and ocean",
            "Transitional woodland/shrub",
            "Airports",
            "Estuaries",
        ]
    ) == ("Transitional woodland, shrub", "Marine waters")
    assert bigearthnet.labels_43_to_19(["Bare rock"]) == ()


def test_unknown_label_is_refused():
    with pytest.raises(ValueError, match="'Transitional woodland, shrub'"):
        bigearthnet.labels_43_to_19(["Transitional woodland, shrub"])


def test_grids_cover_the_patch():
    shapes = {name: grid.shape for name, grid in bigearthnet.GRIDS.items()}
    assert shapes == {
        "s1": (120, 120, 2),
        "s2_10m": (120, 120, 4),
        "s2_20m": (60, 60, 6),
        "s2_60m": (20, 20, 2),
    }
    bands = bigearthnet.S1_BANDS + bigearthnet.S2_BANDS
    assert len(bands) == len(set(bands)) == 14
    assert "B10" not in bands
    assert (
        set(bigearthnet.PAPER_STATISTICS.mean)
        == set(bigearthnet.PAPER_STATISTICS.std)
        == set(bands)
    )
    assert bigearthnet.grid_of_band("B8A") is bigearthnet.GRIDS["s2_20m"]


def test_unknown_band_is_refused():
    with pytest.raises(ValueError, match="B10"):
        bigearthnet.grid_of_band("B10")


def test_counts_reconcile_with_the_official_lists():
    patches = official_lists.official_patches().values()
    sizes = collections.Counter(patch.split for patch in patches)
    assert dict(sizes) == dict(bigearthnet.SPLIT_SIZES)
    assert sum(sizes.values()) == bigearthnet.NUM_PATCHES == 590_326
    snow = sum(patch.seasonal_snow for patch in patches)
    cloud = sum(patch.cloud_or_shadow for patch in patches)
    assert snow == bigearthnet.NUM_SEASONAL_SNOW
    assert cloud == bigearthnet.NUM_CLOUD_OR_SHADOW
    # Two of the patches without a 19-class label are snow or cloud already.
    assert (
        sizes["excluded"]
        == snow + cloud + bigearthnet.NUM_WITHOUT_19_CLASS_LABEL - 2
    )
    assert {patch.country for patch in patches} == set(bigearthnet.COUNTRIES)
    assert {patch.season for patch in patches} == set(bigearthnet.SEASONS)


def test_codes_of_corine_are_in_the_order_of_the_classes():
    """By the nomenclature of the European Environment Agency."""
    code_of = dict(
        zip(bigearthnet.CLASSES_43, bigearthnet.CLC_CODES_43, strict=True)
    )
    assert list(code_of.values()) == sorted(code_of.values())
    assert code_of["Airports"] == 124
    assert code_of["Rice fields"] == 213
    assert code_of["Pastures"] == 231
    assert code_of["Agro-forestry areas"] == 244
    assert code_of["Mixed forest"] == 313
    assert code_of["Transitional woodland/shrub"] == 324
    assert code_of["Burnt areas"] == 334
    assert code_of["Intertidal flats"] == 423
    assert code_of["Sea and ocean"] == 523


def test_labels_of_a_map_are_the_classes_that_occur():
    """A real patch: S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57."""
    assert bigearthnet.labels_19_of_codes([211, 231, 311, 313]) == (
        "Arable land",
        "Pastures",
        "Broad-leaved forest",
        "Mixed forest",
    )
    assert bigearthnet.labels_19_of_codes([999, 0, 335, 124]) == ()
