"""Released weights are found in a folder or on the hub, or it is explained."""

import sys
import types

import pytest

from ben_tf import errors
from ben_tf.training import weights_hub

NAME = "BIFOLD-BigEarthNetv2-0/resnet50-s2-v0.1.1"


def _hub(monkeypatch, snapshot_download):
    hub = types.ModuleType("huggingface_hub")
    hub.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)


def test_a_folder_does_not_say_its_version(tmp_path):
    folder = tmp_path / "resnet50-s2-v0.1.1"
    folder.mkdir()
    assert weights_hub.find(folder) == (folder, None)


def test_a_name_on_the_hub(monkeypatch, tmp_path):
    def fetch(name, *, allow_patterns):
        assert name == NAME
        assert allow_patterns == ["config.json", "model.safetensors"]
        return str(tmp_path)

    _hub(monkeypatch, fetch)
    assert weights_hub.find(NAME) == (tmp_path, "0.1.1")


def test_without_network(monkeypatch):
    def fetch(name, *, allow_patterns):
        raise ConnectionError("no route to host")

    _hub(monkeypatch, fetch)
    with pytest.raises(
        errors.UserError,
        match=r"no route to host.*config\.json and model\.safetensors",
    ):
        weights_hub.find(NAME)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(errors.UserError, match="pip install huggingface_hub"):
        weights_hub.find(NAME)


def test_neither_folder_nor_name(tmp_path):
    with pytest.raises(errors.UserError, match="No folder"):
        weights_hub.find(tmp_path / "absent")
