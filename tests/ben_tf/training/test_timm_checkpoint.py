"""Weights released with v2.0 give the logits that PyTorch would give."""

import json

import numpy as np
import pytest
import safetensors.numpy

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.data import leakage
from ben_tf.training import released_weights
from tests.ben_tf.training import timm_networks

S2_NEW = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
S2_OLD = ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B11", "B12", "B8A")
ORDERS = {
    ("MM", "0.2.0"): ("VV", "VH", *S2_NEW),
    ("MM", "0.1.1"): (*S2_OLD, "VH", "VV"),
    ("S2", "0.2.0"): S2_NEW,
    ("S2", "0.1.1"): S2_OLD,
    ("S1", "0.2.0"): ("VV", "VH"),
    ("S1", "0.1.1"): ("VH", "VV"),
}
BY_ALPHABET = np.argsort(np.argsort(bigearthnet.CLASSES_19))


@pytest.fixture(autouse=True)
def small():
    with timm_networks.small():
        yield


@pytest.fixture(scope="module")
def raw() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "s1": random.uniform(-30, 0, (2, 120, 120, 2)).astype(np.float32),
        "s2_10m": random.integers(0, 6000, (2, 120, 120, 4)).astype(np.uint16),
        "s2_20m": random.integers(0, 6000, (2, 60, 60, 6)).astype(np.uint16),
    }


@pytest.fixture
def release(tmp_path):
    tensors = timm_networks.draw(12)
    timm_networks.write(tmp_path / "weights", tensors)
    return tmp_path / "weights"


def _import(folder, version="0.2.0"):
    return released_weights.import_reben(
        weights=folder,
        workdir=folder.parent / "run",
        weights_version=version,
    )


def _logits_of(path, raw):
    served = saved_model.load(path)
    assert served.class_names == bigearthnet.CLASSES_19
    probabilities = served.serve(raw).numpy().astype(np.float64)
    return np.log(probabilities / (1 - probabilities))


@pytest.mark.parametrize(("modality", "version"), ORDERS)
def test_logits_of_raw_pairs(raw, tmp_path, modality, version):
    bands = ORDERS[modality, version]
    tensors = timm_networks.draw(len(bands))
    timm_networks.write(tmp_path / "weights", tensors)
    ours = _logits_of(_import(tmp_path / "weights", version), raw)
    theirs = timm_networks.logits(tensors, timm_networks.stack(raw, bands))
    np.testing.assert_allclose(ours, theirs[:, BY_ALPHABET], atol=1e-4)
    # What the comparison must notice: each class and two bands exchanged.
    assert np.abs(ours - theirs).max() > 0.1
    exchanged = (bands[1], bands[0], *bands[2:])
    wrong = timm_networks.logits(tensors, timm_networks.stack(raw, exchanged))
    assert np.abs(ours - wrong[:, BY_ALPHABET]).max() > 0.01
    run = workdir_lib.Workdir(tmp_path / "run")
    assert run.read_config().modality == modality
    assert leakage.version_of(run.read_data().name) == "v2"


def test_the_order_of_the_other_version_is_another_model(raw, release):
    one = _logits_of(_import(release), raw)
    (release.parent / "run").rename(release.parent / "first")
    other = _logits_of(_import(release, "0.1.1"), raw)
    assert np.abs(one - other).max() > 0.01


def test_the_version_is_asked_for(release):
    with pytest.raises(errors.UserError, match=r"one of 0\.2\.0, 0\.1\.1"):
        _import(release, None)
    assert not (release.parent / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"timm_model_name": "vit_base_patch8_224"}, "vit_base_patch8_224"),
        ({"channels": 14}, "channels=14"),
        ({"channels": [12]}, r"channels=\[12\]"),
        ({"classes": 43}, "classes=43"),
        ({"image_size": 224}, "image_size=224"),
        ({"class_names": list(bigearthnet.CLASSES_19)}, "other classes"),
    ],
)
def test_another_network_is_refused(release, config, message):
    timm_networks.write(release, timm_networks.draw(12), **config)
    with pytest.raises(errors.UserError, match=message):
        _import(release)


def test_a_description_without_its_wrapper(release):
    file = release / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text())["config"]))
    assert _import(release).is_dir()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_missing(release, name):
    (release / name).unlink()
    with pytest.raises(errors.UserError, match=f"No file .*{name}"):
        _import(release)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_cut(release, name):
    file = release / name
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(errors.UserError, match=f"{name} cannot be read"):
        _import(release)


def _change(release, change):
    file = release / "model.safetensors"
    tensors = safetensors.numpy.load_file(file)
    change(tensors)
    safetensors.numpy.save_file(tensors, file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: x.pop(f"{timm_networks.PREFIX}fc.bias"),
            r"no tensors: model\.vision_encoder\.fc\.bias",
        ),
        (
            lambda x: x.update(extra=np.zeros(1, np.float32)),
            "tensors that the network lacks: extra",
        ),
        (
            lambda x: x.update(
                {f"{timm_networks.PREFIX}bn1.bias": np.zeros(3, np.float32)}
            ),
            r"bn1\.bias has, in our order of axes, shape \(3,\)",
        ),
        (
            lambda x: x.update(
                {
                    f"{timm_networks.PREFIX}conv1.weight": np.zeros(
                        (64, 14, 7, 7), np.float32
                    )
                }
            ),
            r"conv1\.weight has, in our order of axes, shape \(7, 7, 14, 64\)",
        ),
        (
            lambda x: x.update(
                {f"{timm_networks.PREFIX}fc.bias": np.zeros(43, np.float32)}
            ),
            r"fc\.bias has, in our order of axes, shape \(43,\)",
        ),
        (
            lambda x: x.update(
                {f"{timm_networks.PREFIX}fc.bias": np.zeros(3, np.float32)}
            ),
            r"fc\.bias has, in our order of axes, shape \(3,\)",
        ),
        (
            lambda x: x.update(
                {f"{timm_networks.PREFIX}bn1.bias": np.zeros(64, np.int64)}
            ),
            "type int64. Expected",
        ),
        (
            lambda x: x.update(
                {
                    f"{timm_networks.PREFIX}bn1.bias": np.full(
                        64, np.nan, np.float32
                    )
                }
            ),
            "The imported weights",
        ),
    ],
)
def test_tensors_that_are_not_those_of_the_network(release, change, message):
    _change(release, change)
    with pytest.raises(errors.UserError, match=message):
        _import(release)
    assert not (release.parent / "run" / "config.json").exists()


@pytest.mark.slow
def test_timm_itself_where_it_is_installed(raw, tmp_path):
    timm = pytest.importorskip("timm")
    torch = pytest.importorskip("torch")
    bands = ORDERS["MM", "0.2.0"]
    tensors = timm_networks.draw(len(bands))
    network = timm.models.resnet.ResNet(
        timm.models.resnet.Bottleneck,
        (1, 1, 1, 1),
        in_chans=len(bands),
        num_classes=19,
    ).eval()
    network.load_state_dict(
        {name: torch.tensor(x) for name, x in tensors.items()}, strict=False
    )
    images = timm_networks.stack(raw, bands)
    with torch.no_grad():
        theirs = network(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(
        timm_networks.logits(tensors, images), theirs, atol=1e-4
    )
