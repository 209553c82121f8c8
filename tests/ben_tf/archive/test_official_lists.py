"""The official lists, counted against the facts."""

import collections

from ben_tf import bigearthnet
from ben_tf.archive import official_lists


def test_split_sizes_add_up_to_the_archive():
    patches = official_lists.official_patches()
    counts = collections.Counter(patch.split for patch in patches.values())
    assert counts == dict(bigearthnet.SPLIT_SIZES)
    assert len(patches) == bigearthnet.NUM_PATCHES
    assert counts.total() == bigearthnet.NUM_PATCHES


def test_flags_countries_and_seasons_match_the_facts():
    patches = official_lists.official_patches().values()
    snow = sum(patch.seasonal_snow for patch in patches)
    cloud = sum(patch.cloud_or_shadow for patch in patches)
    assert snow == bigearthnet.NUM_SEASONAL_SNOW
    assert cloud == bigearthnet.NUM_CLOUD_OR_SHADOW
    assert {patch.country for patch in patches} == set(bigearthnet.COUNTRIES)
    assert {patch.season for patch in patches} == set(bigearthnet.SEASONS)


def test_flagged_patches_are_excluded():
    patches = official_lists.official_patches().values()
    excluded = {patch for patch in patches if patch.split == "excluded"}
    flagged = {
        patch
        for patch in patches
        if patch.seasonal_snow or patch.cloud_or_shadow
    }
    assert flagged <= excluded
    # The rest has no label of the 19-class nomenclature.
    assert len(excluded - flagged) == 55


def test_pairing_is_one_to_one_and_keeps_the_position():
    patches = official_lists.official_patches()
    assert len({p.s1_name for p in patches.values()}) == len(patches)
    for name, patch in patches.items():
        assert patch.s2_name == name
        position = patch.s2_name.split("_")[-2:]
        assert patch.s1_name.split("_")[-2:] == position


def test_a_known_pair():
    patch = official_lists.official_patches()[
        "S2A_MSIL2A_20170613T101031_87_48"
    ]
    assert patch.s1_name == "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48"
    assert patch.country == "Austria"
    assert patch.season == "Summer"


def test_example_tarballs_exist():
    for sensor, tarball in official_lists.example_tarballs().items():
        assert sensor in tarball.name
        assert tarball.is_file()
