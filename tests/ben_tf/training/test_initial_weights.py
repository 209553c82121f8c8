"""Training starts from ImageNet weights, or from two networks."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.training import checkpoints
from ben_tf.training import configured_model
from ben_tf.training import initial_weights
from ben_tf.training import slim_checkpoint
from ben_tf.training import trainer
from tests.ben_tf.training import slim_networks

pytestmark = pytest.mark.slow

FINE_TUNED = config_lib.Config(
    model="resnet50",
    modality="S2",
    initial_weights="imagenet",
    trainable="head",
)


@pytest.fixture(scope="module", autouse=True)
def small():
    with slim_networks.small():
        yield


@pytest.fixture(scope="module")
def model() -> tf.keras.Model:
    """The network of `FINE_TUNED`; read-only by agreement."""
    return configured_model.make_model(FINE_TUNED)


def test_the_stem_of_grey_images_is_unchanged():
    random = np.random.default_rng(0)
    kernel = random.normal(size=(7, 7, 3, 4)).astype(np.float32)
    std = np.float32([58.393, 57.12, 57.375])
    grey = np.einsum("hwcf,c->hwf", kernel, std)
    for bands in (("VV", "VH"), ("B02", "B03", "B04", "B08", "B05")):
        adapted = initial_weights.adapt_stem(kernel, bands)
        assert adapted.shape == (7, 7, len(bands), 4)
        if "B04" in bands:
            np.testing.assert_allclose(adapted.sum(axis=2), grey, rtol=1e-3)
            np.testing.assert_allclose(
                adapted[:, :, 2], kernel[:, :, 0] * std[0] * 3 / 5, rtol=1e-5
            )
        else:
            np.testing.assert_allclose(
                adapted[:, :, 0], grey / 2, rtol=1e-3, atol=1e-3
            )


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory) -> pathlib.Path:
    """A home folder with TF-Slim's ResNet50 in its cache; random weights."""
    home = tmp_path_factory.mktemp("home")
    pixels = np.random.default_rng(0).normal(size=(1, 120, 120, 3)) * 50
    file = home / ".keras" / "models" / "resnet_v1_50.ckpt"
    file.parent.mkdir(parents=True)
    slim_networks.save(
        file,
        "resnet50",
        pixels.astype(np.float32),
        num_classes=1000,
        first_format=True,
    )
    return home


def test_the_backbone_becomes_that_of_imagenet(imagenet, monkeypatch):
    """And only the classifier is trained."""
    monkeypatch.setenv("HOME", str(imagenet))
    file = imagenet / ".keras" / "models" / "resnet_v1_50.ckpt"
    model = configured_model.make_model(FINE_TUNED)
    initial_weights.load_initial_weights(model, FINE_TUNED)
    reader = tf.train.load_checkpoint(str(file))
    variables = slim_checkpoint.backbone_variables(model, backbone="s2")
    stem = "resnet_v1_50/conv1/weights"
    for name, variable in variables.items():
        if name != stem:
            np.testing.assert_array_equal(variable, reader.get_tensor(name))
    np.testing.assert_array_equal(
        variables[stem],
        initial_weights.adapt_stem(
            reader.get_tensor(stem),
            ("B02", "B03", "B04", "B08", *("other",) * 6),
        ),
    )
    configured_model.freeze_features(model)
    assert {x.name.split("/")[0] for x in model.trainable_variables} == {
        "logits"
    }


def test_from_imagenet_to_the_fusion_of_two_sensors(
    imagenet, tiny_config, tmp_path, monkeypatch
):
    """Runs of the paper, on features that stay ImageNet's."""
    monkeypatch.setenv("HOME", str(imagenet))
    common = dataclasses.replace(
        FINE_TUNED,
        data_dir=tiny_config.data_dir,
        train_split="train[:2]",
        validation_split="validation[:2]",
        batch_size=2,
        epochs=1,
        jit_compile="off",
    )
    folders = {name: tmp_path / name for name in ("S1", "S2", "MM")}
    trainer.train(common, folders["S2"])
    # The other sensor's as it would start.
    _write_branch(
        folders["S1"],
        dataclasses.replace(common, modality="S1"),
        initial_weights.load_initial_weights,
    )
    fused = dataclasses.replace(
        common,
        modality="MM",
        initial_weights="random",
        branch_workdirs=f"{folders['S1']},{folders['S2']}",
    )
    trainer.train(fused, folders["MM"])
    # A resumed run does not read them again.
    shutil.rmtree(folders["S1"])
    trainer.train(fused, folders["MM"])
    data = workdir_lib.Workdir(folders["MM"]).read_data()
    assert data.origins == ("another",)

    model = configured_model.make_model(fused)
    checkpoints.restore_best(workdir_lib.Workdir(folders["MM"]), model)
    reader = tf.train.load_checkpoint(
        str(imagenet / ".keras" / "models" / "resnet_v1_50.ckpt")
    )
    stem = "resnet_v1_50/conv1/weights"
    for backbone in ("s1", "s2"):
        variables = slim_checkpoint.backbone_variables(model, backbone=backbone)
        assert stem in variables
        for name in variables.keys() - {stem}:
            np.testing.assert_array_equal(
                variables[name], reader.get_tensor(name), err_msg=name
            )
    exported = saved_model.load(folders["MM"] / "saved_model")
    assert exported.fingerprint
    rows = (folders["MM"] / "history.csv").read_text().splitlines()
    assert len(rows) == 1 + 1


def test_without_weights_it_says_where_to_get_them(
    model, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(errors.UserError) as error:
        initial_weights.load_initial_weights(model, FINE_TUNED)
    for words in (
        "download.tensorflow.org/models/resnet_v1_50_2016_08_28.tar.gz",
        str(tmp_path / ".keras" / "models" / "resnet_v1_50.ckpt"),
        "`imagenet_weights=PATH`",
    ):
        assert words in str(error.value)


def test_weights_of_keras_do_not_fit(model):
    config = dataclasses.replace(
        FINE_TUNED,
        imagenet_weights="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    )
    with pytest.raises(
        errors.UserError, match=r"file of Keras.*resnet_v1_50\.ckpt"
    ):
        initial_weights.load_initial_weights(model, config)


@pytest.fixture(scope="module")
def branches(tmp_path_factory) -> dict[str, pathlib.Path]:
    """A workdir for each sensor with random weights."""
    folders = {}
    for sensor in ("S1", "S2"):
        folders[sensor] = tmp_path_factory.mktemp(sensor)
        _write_branch(
            folders[sensor],
            config_lib.Config(model="resnet50", modality=sensor),
        )
    return folders


def _write_branch(folder, config, initialise=None) -> None:
    """What fusion needs of a workdir, without training."""
    workdir = workdir_lib.Workdir(folder)
    model = configured_model.make_model(config)
    if initialise is not None:
        initialise(model, config)
    workdir.write_config(config)
    workdir.write_data(
        workdir_lib.DataDescription("another", True, {"train": 1})
    )
    checkpoints.save_best(workdir, model)


def test_fusion_begins_as_the_mean_of_both(branches):
    config = config_lib.Config(
        model="resnet50",
        branch_workdirs=f"{branches['S1']}, {branches['S2']}",
        trainable="head",
    )
    model = configured_model.make_model(config)
    initial_weights.load_initial_weights(model, config)
    random = np.random.default_rng(0)
    inputs = {
        name: random.normal(size=(2, *x.shape[1:])).astype(np.float32)
        for name, x in model.input.items()
    }

    def logits(network):
        return tf.keras.Model(
            network.input, network.get_layer("logits").output
        )({name: inputs[name] for name in network.input})

    alone = []
    for folder in branches.values():
        network = configured_model.make_model(
            workdir_lib.Workdir(folder).read_config()
        )
        checkpoints.restore_best(workdir_lib.Workdir(folder), network)
        alone.append(logits(network))
    mean = np.mean(alone, axis=0)
    # Random networks give logits in the thousands, sums of 2,048 products.
    np.testing.assert_allclose(
        logits(model), mean, rtol=1e-4, atol=1e-5 * np.abs(mean).max()
    )


@pytest.mark.parametrize(
    ("order", "changes", "expected"),
    [
        ("S2,S1", {}, "`modality=S2`, expected S1"),
        ("S1,S2", {"num_classes": 43}, "`num_classes=19`, expected 43"),
        (
            "S1,S2",
            {"statistics": bigearthnet.STATISTICS["v2"]},
            "`statistics=paper`, expected v2",
        ),
        ("S1", {}, "Expected two workdirs"),
    ],
)
def test_branches_that_do_not_fit(branches, model, order, changes, expected):
    config = config_lib.Config(
        branch_workdirs=",".join(str(branches[x]) for x in order.split(","))
    )
    config = dataclasses.replace(config, **changes)
    with pytest.raises(errors.UserError, match=expected):
        initial_weights.load_initial_weights(model, config)


def test_training_goes_on_from_another_run(tiny_config, tmp_path):
    """As from imported weights: every weight is that run's, head included."""
    first = dataclasses.replace(tiny_config, modality="S2", epochs=1)
    trainer.train(first, tmp_path / "first")
    second = dataclasses.replace(
        first,
        initial_workdir=str(tmp_path / "first"),
        learning_rate=0.0,
        head_dropout=0.5,
        seed=7,
    )
    model = configured_model.make_model(second)
    initial_weights.load_initial_weights(model, second)
    expected = configured_model.make_model(first)
    checkpoints.restore_best(workdir_lib.Workdir(tmp_path / "first"), expected)
    assert len(model.weights) == len(expected.weights) > 0
    for ours, theirs in zip(model.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # A whole run begins there, and keeps what the first one saw.
    run = workdir_lib.Workdir(tmp_path / "first")
    run.data_file.unlink()
    run.write_data(workdir_lib.DataDescription("imported", False, {}))
    trainer.train(second, tmp_path / "second")
    trained = configured_model.make_model(second)
    second_run = workdir_lib.Workdir(tmp_path / "second")
    checkpoints.restore_best(second_run, trained)
    for ours, theirs in zip(
        trained.trainable_variables, expected.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert second_run.read_data().origins == ("imported",)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modality": "S2"}, "`modality=S1`, expected S2"),
        ({"num_classes": 43}, "`num_classes=19`, expected 43"),
        (
            {"statistics": bigearthnet.STATISTICS["v2"]},
            "`statistics=paper`, expected v2",
        ),
        ({"model": "resnet101"}, "`model=resnet50`, expected resnet101"),
    ],
)
def test_a_run_of_another_network_is_refused(
    branches, model, changes, expected
):
    config = config_lib.Config(
        model="resnet50", modality="S1", initial_workdir=str(branches["S1"])
    )
    config = dataclasses.replace(config, **changes)
    with pytest.raises(
        errors.UserError, match=f"holds another network: {expected}"
    ):
        initial_weights.load_initial_weights(model, config)


def test_what_is_of_the_other_sensor_does_not_matter(branches):
    """Released weights of one sensor are imported with fusion=early."""
    config = config_lib.Config(
        model="resnet50",
        modality="S1",
        fusion="early",
        bands_60m="off",
        embedding_size=7,
        initial_workdir=str(branches["S1"]),
    )
    network = configured_model.make_model(config)
    initial_weights.load_initial_weights(network, config)
    run = workdir_lib.Workdir(branches["S1"])
    expected = configured_model.make_model(run.read_config())
    checkpoints.restore_best(run, expected)
    for ours, theirs in zip(network.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_the_branches_were_trained_on(tmp_path):
    for name, version in (("a", "v1"), ("b", "v2")):
        run = workdir_lib.Workdir(tmp_path / name)
        run.write_config(config_lib.Config())
        run.write_data(
            workdir_lib.DataDescription(version, False, {"train": 1})
        )
    config = config_lib.Config(
        branch_workdirs=f"{tmp_path / 'a'},{tmp_path / 'b'}"
    )
    found = initial_weights.trained_on(config)
    assert [data.name for data in found] == ["v1", "v2"]
    config = config_lib.Config(initial_workdir=str(tmp_path / "b"))
    assert [x.name for x in initial_weights.trained_on(config)] == ["v2"]
    assert initial_weights.trained_on(config_lib.Config()) == []
    config = config_lib.Config(branch_workdirs=f"{tmp_path},{tmp_path}")
    with pytest.raises(errors.UserError, match="is not the workdir of"):
        initial_weights.trained_on(config)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "k_branch_cnn", "initial_weights": "imagenet"},
        {"branch_workdirs": "a,b", "fusion": "early"},
        {"branch_workdirs": "a,b", "initial_workdir": "c"},
        {"initial_weights": "imagenet", "initial_workdir": "c"},
    ],
)
def test_fields_that_do_not_go_together(fields):
    with pytest.raises(errors.UserError, match="Expected"):
        config_lib.Config(**fields)
