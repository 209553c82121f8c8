"""Finding the sensors of an archive, and the names of a patch's files."""

import pytest

from ben_tf import errors
from ben_tf.archive import layout

NAMES = [
    (sensor, name)
    for sensor, names in layout.V1.sensors.items()
    for name in names.folders
]
TARBALLS = [
    (sensor, stem + suffix)
    for sensor, names in layout.V1.sensors.items()
    for stem in names.tarball_stems
    for suffix in layout.V1.tar_suffixes
]
OTHER = {"S1": "BigEarthNet-S2-v1.0", "S2": "BigEarthNet-S1-v1.0"}


@pytest.mark.parametrize(("sensor", "name"), NAMES)
def test_a_folder_is_found_and_wins_over_a_tarball(tmp_path, sensor, name):
    (tmp_path / OTHER[sensor]).mkdir()
    (tmp_path / f"{layout.V1.sensors[sensor].tarball_stems[0]}.tar").touch()
    (tmp_path / name).mkdir()
    assert layout.find_sensors(tmp_path)[sensor] == tmp_path / name


@pytest.mark.parametrize(("sensor", "name"), TARBALLS)
def test_a_tarball_is_found(tmp_path, sensor, name):
    (tmp_path / OTHER[sensor]).mkdir()
    (tmp_path / name).touch()
    found = layout.find_sensors(tmp_path)
    assert found[sensor] == tmp_path / name
    assert set(found) == {"S1", "S2"}


@pytest.mark.parametrize("sensor", ["S1", "S2"])
def test_a_missing_sensor_is_named(tmp_path, sensor):
    (tmp_path / OTHER[sensor]).mkdir()
    with pytest.raises(errors.UserError, match=f"holds no {sensor} patches"):
        layout.find_sensors(tmp_path)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_folder_that_was_extracted_into_itself(tmp_path, depth):
    inner = tmp_path.joinpath(*["BigEarthNet-v1.0"] * (depth + 1))
    (inner / "S2A_MSIL2A_X").mkdir(parents=True)
    for name in ("__MACOSX", ".Trash"):
        (inner.parent / name).mkdir()
    (inner.parent / "readme.txt").touch()
    assert layout.find_sensors(tmp_path, ["S2"]) == {"S2": inner}


def test_patches_inside_and_outside_are_not_chosen_from(tmp_path):
    outer = tmp_path / "BigEarthNet-v1.0"
    for folder in (outer, outer / "BigEarthNet-v1.0"):
        (folder / "S2A_MSIL2A_X").mkdir(parents=True)
    with pytest.raises(
        errors.UserError, match=f"S2A_MSIL2A_X.*move those of {outer}/Big"
    ):
        layout.find_sensors(tmp_path, ["S2"])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(errors.UserError, match=r"absent.*`archive_dir`"):
        layout.find_sensors(tmp_path / "absent")


def test_names_of_a_patch_are_those_of_the_real_ones(real_archive):
    for sensor, number in (("S1", 3), ("S2", 13)):
        folder = real_archive / layout.V1.sensors[sensor].folders[0]
        for patch in folder.iterdir():
            names = layout.V1.sensors[sensor].file_names(patch.name)
            assert len(names) == number
            assert set(names) == {path.name for path in patch.iterdir()}


def test_a_marker_makes_an_archive_synthetic(real_archive, tmp_path):
    assert not layout.is_synthetic(real_archive)
    (tmp_path / "SYNTHETIC.txt").touch()
    assert layout.is_synthetic(tmp_path)


# Version -> sensor -> what lies in the folder of its patches.
ENTRIES = {
    "v1": {
        "S1": "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48",
        "S2": "S2A_MSIL2A_20170613T101031_87_48",
    },
    "v2": {
        "S1": "S1A_IW_GRDH_1SDV_20170613T165043",
        "S2": "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP",
    },
}
CASES = [(x, sensor) for x, names in ENTRIES.items() for sensor in names]


@pytest.mark.parametrize(("version", "sensor"), CASES)
def test_a_folder_of_another_name_is_explained(tmp_path, version, sensor):
    lies = layout.LAYOUTS[version]
    folder = tmp_path / "downloaded"
    (folder / ENTRIES[version][sensor]).mkdir(parents=True)
    with pytest.raises(
        errors.UserError,
        match=f"{folder} holds {sensor} patches of {lies.title}: rename it to "
        f"{lies.sensors[sensor].folders[0]}",
    ):
        layout.find_sensors(tmp_path, [sensor], layout=lies)


@pytest.mark.parametrize(("version", "sensor"), CASES)
def test_a_folder_too_deep_is_explained(tmp_path, version, sensor):
    lies = layout.LAYOUTS[version]
    folder = tmp_path / lies.sensors[sensor].folders[0]
    (folder / ENTRIES[version][sensor]).mkdir(parents=True)
    # Whichever sensor is looked for.
    for wanted in ("S1", "S2"):
        with pytest.raises(
            errors.UserError, match=f"Pass the folder above it, {tmp_path},"
        ):
            layout.find_sensors(folder, [wanted], layout=lies)


@pytest.mark.parametrize(("version", "sensor"), CASES)
def test_a_folder_too_high_is_explained(tmp_path, version, sensor):
    lies = layout.LAYOUTS[version]
    (tmp_path / "inner" / lies.sensors[sensor].folders[0]).mkdir(parents=True)
    with pytest.raises(
        errors.UserError, match=f"{tmp_path / 'inner'} holds {lies.title}: pass"
    ):
        layout.find_sensors(tmp_path, [sensor], layout=lies)


@pytest.mark.parametrize(("version", "sensor"), CASES)
def test_the_other_version_under_any_name_is_called_so(
    tmp_path, version, sensor
):
    other = next(x for x in layout.LAYOUTS.values() if x.version != version)
    (tmp_path / "x" / ENTRIES[version][sensor]).mkdir(parents=True)
    with pytest.raises(
        errors.UserError, match=f"of {layout.LAYOUTS[version].title}: rename"
    ):
        layout.find_sensors(tmp_path, [sensor], layout=other)


def test_both_versions_in_one_folder_are_not_chosen_from(tmp_path):
    versions = [layout.LAYOUTS[version] for version in layout.OFFICIAL]
    for lies in versions:
        (tmp_path / lies.sensors["S2"].folders[0]).mkdir()
    with pytest.raises(errors.UserError, match="more than one version"):
        layout.find_version(tmp_path)
    for lies in versions:
        found = layout.find_sensors(tmp_path, ["S2"], layout=lies)
        assert found["S2"].name == lies.sensors["S2"].folders[0]


@pytest.mark.parametrize("version", layout.OFFICIAL)
def test_the_version_that_is_there_is_found(tmp_path, version):
    lies = layout.LAYOUTS[version]
    (tmp_path / lies.sensors["S1"].folders[0]).mkdir()
    assert layout.find_version(tmp_path) == lies
