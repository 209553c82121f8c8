"""A workdir keeps its configuration, and belongs to one run."""

import dataclasses
import json
import zlib

import msgspec
import pytest

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from tests import json_files

DATA = workdir_lib.DataDescription(
    name="bigearthnet_mm/v1/1.0.0", synthetic=True, patches={"train": 3}
)
_IMPORTED = workdir_lib.DataDescription(
    name="imported", synthetic=False, patches={}
)


@pytest.fixture
def workdir(tmp_path) -> workdir_lib.Workdir:
    return workdir_lib.Workdir(tmp_path / "run")


def test_configurations_come_back(workdir):
    config = config_lib.Config(model="vgg16", batch_size=7, clip_norm=0.5)
    workdir.write_config(config)
    assert workdir.read_config() == config


def test_fields_of_later_versions_take_their_defaults(workdir):
    config = config_lib.Config(model="vgg16")
    workdir.write_config(config)
    values = json_files.read(workdir.config_file)
    for name in ("duplicate_vv", "loss", "trainable"):
        del values[name]
    workdir.config_file.write_text(json.dumps(values))
    assert workdir.read_config() == config


@pytest.mark.parametrize("name", ["model", "modality", "fusion", "seed"])
def test_a_field_that_every_version_has_written_is_missed(workdir, name):
    """Its default would be another network, or another run."""
    workdir.write_config(config_lib.Config())
    values = json_files.read(workdir.config_file)
    del values[name]
    workdir.config_file.write_text(json.dumps(values))
    with pytest.raises(
        errors.UserError, match=rf"config\.json lacks the fields \['{name}'\]"
    ):
        workdir.read_config()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "not the workdir of a training run"),
        ("{", "cannot be read: Input data was truncated"),
        ("[1]", "cannot be read: Expected `object`, got `array`"),
        ('{"model": "resnet50", "colour": 1}', r"unknown fields \['colour'\]"),
        ('{"model": "resnet18"}', "Invalid `model`"),
        ('{"epochs": "8"}', r"Expected `int`, got `str` - at `\$.epochs`"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_damaged_configurations_are_refused(workdir, content, expected):
    if content is not None:
        workdir.path.mkdir()
        workdir.config_file.write_text(content)
    with pytest.raises(errors.UserError, match=expected):
        workdir.read_config()


def test_another_configuration_is_refused(workdir):
    config = config_lib.Config(batch_size=8)
    workdir.check_same_run(config)
    workdir.write_config(config)
    # Nothing was trained yet.
    workdir.check_same_run(dataclasses.replace(config, batch_size=16))
    workdir.history_file.touch()
    workdir.check_same_run(
        dataclasses.replace(config, epochs=200, data_dir="elsewhere")
    )
    with pytest.raises(errors.UserError, match="`batch_size` is 16, was 8"):
        workdir.check_same_run(dataclasses.replace(config, batch_size=16))
    v2 = dataclasses.replace(config, statistics=bigearthnet.STATISTICS["v2"])
    with pytest.raises(errors.UserError, match=r"'v2' .*, was 'paper'"):
        workdir.check_same_run(v2)


def test_the_data_come_back(workdir):
    workdir.write_data(DATA)
    assert workdir.read_data() == DATA
    assert json.loads(workdir.data_file.read_text())["patches"] == {"train": 3}


def test_imported_weights_are_not_trained_over(workdir):
    workdir.write_data(_IMPORTED)
    workdir.saved_model.mkdir()
    with pytest.raises(errors.UserError, match="holds imported weights"):
        workdir.write_data(DATA)


def test_a_run_goes_on_with_the_records_that_it_began_with(workdir):
    def with_records(fingerprint):
        return msgspec.structs.replace(DATA, fingerprint=fingerprint)

    # Of a try that failed.
    workdir.write_data(with_records("c" * 64))
    workdir.write_data(DATA)
    checkpoint = workdir.last_checkpoints / "ckpt-1.index"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    # Of a version that kept no fingerprint.
    workdir.write_data(with_records("a" * 64))
    workdir.write_data(with_records("a" * 64))
    with pytest.raises(errors.UserError, match="on other records than those"):
        workdir.write_data(with_records("b" * 64))
    assert workdir.read_data() == with_records("a" * 64)


def test_data_of_another_type_are_refused(workdir):
    workdir.path.mkdir()
    workdir.data_file.write_text('{"name": "x", "synthetic": "no"}')
    with pytest.raises(errors.UserError, match="Expected `bool`, got `str`"):
        workdir.read_data()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    workdir = workdir_lib.Workdir(tmp_path / "file" / "run")
    with pytest.raises(errors.UserError, match="another `workdir`"):
        workdir.write_config(config_lib.Config())


@pytest.mark.parametrize(
    ("split", "name"),
    [
        ("test", "test"),
        ("test[:10%]", "test_10"),
        ("../../x", "x"),
        ("test[country=Serbia|Kosovo]", "test_country_Serbia_Kosovo"),
        ("test[country!=Serbia|Kosovo]", "test_country_not_Serbia_Kosovo"),
        ("a" * 300, "a" * 100 + f"_{zlib.crc32(b'a' * 300):08x}"),
    ],
)
def test_files_about_a_split_stay_in_the_workdir(workdir, split, name):
    assert workdir.metrics_file(split).parts[-2:] == ("metrics", f"{name}.json")
    assert workdir.predictions_file(split).name == f"{name}.npz"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("epoch,loss\n1,much\n", "much"),
        ("epoch,loss\n1\n", "1 columns, expected 2"),
        ("epoch,loss\n1,2,3\n", "3 columns, expected 2"),
        ("loss\n1\n", "an epoch"),
        ("epoch,loss,loss\n1,2,3\n", "one column of each name"),
        ("epoch,\n1,2\n", "no name"),
        ("epoch,\x1b\n1,2\n", "no name"),
        ("epoch,loss\n1,2\n1,3\n", "epoch '1' after 1"),
        ("", "it is empty"),
        ("epoch,loss\n,2\n", "epoch '' after 0"),
        ("epoch,loss\nnan,2\n", "epoch 'nan' after 0"),
        ("epoch,loss\n1e400,2\n", "epoch '1e400' after 0"),
        ('epoch\n"1\n', "unexpected end"),
        ("epoch\n1\udcff\n", "utf-8"),
        ("epoch,loss\n1," + "1" * 200_000, "field larger"),
    ],
)
def test_a_damaged_history_is_named(workdir, text, match):
    workdir.path.mkdir()
    workdir.history_file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(errors.UserError, match=match) as caught:
        workdir.read_history()
    assert str(workdir.history_file) in str(caught.value)
    assert "move it to another folder" in str(caught.value)


ROWS = [
    {"epoch": "1", "loss": "0.25", "f1": "nan"},
    {"epoch": "2", "loss": "0.125", "lr": "1e-05"},
]


def test_histories_come_back(workdir):
    """A row that lacks a column has no number there."""
    workdir.write_history(ROWS)
    assert workdir.read_history() == [
        {"epoch": "1", "loss": "0.25", "f1": "nan", "lr": ""},
        {"epoch": "2", "loss": "0.125", "f1": "", "lr": "1e-05"},
    ]


def test_every_changed_bit_of_a_history_is_named_or_means_nothing(workdir):
    workdir.write_history(ROWS)
    expected = workdir.read_history()
    content = workdir.history_file.read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        workdir.history_file.write_bytes(changed)
        try:
            found = workdir.read_history()
        except errors.UserError:
            continue
        # A line break of another kind.
        assert found == expected, changed


def test_a_history_may_begin_later_and_hold_nan(workdir):
    workdir.path.mkdir()
    workdir.history_file.write_text("epoch,loss,f1\n3,nan,\n\n4,0.5,inf\n")
    assert workdir.read_history() == [
        {"epoch": "3", "loss": "nan", "f1": ""},
        {"epoch": "4", "loss": "0.5", "f1": "inf"},
    ]


def test_what_was_seen_before_is_remembered():
    v2 = msgspec.structs.replace(DATA, name="v2", synthetic=False, origins=())
    v1 = msgspec.structs.replace(
        DATA, name="v1", synthetic=True, origins=("v0",)
    )
    assert v2.after([]) == v2
    after = v2.after([v1, v2])
    assert after.origins == ("v0", "v1")
    assert after.synthetic
    # A run that is resumed comes after itself.
    assert v2.after([after]) == after
