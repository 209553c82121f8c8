"""Every model of the table has the published size and keeps its promises."""

import dataclasses
import functools
import importlib.util
import itertools
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import models
from tests.ben_tf.models import zero_weights

# (model, modality, fusion, classes) -> trainable parameters. Those of
# K-Branch CNN on S2 and of early fusion are the authors'; with two branches a
# ResNet or VGG has twice the backbone and a wider classifier.
SIZES = {
    # Ours, counted by hand.
    ("small_cnn", "S1", "late", 19): 39_987,
    ("small_cnn", "S2", "late", 43): 119_451,
    ("small_cnn", "MM", "late", 19): 156_579,
    ("small_cnn", "MM", "early", 19): 119_091,
    ("k_branch_cnn", "S2", "late", 19): 16_523_251,
    ("k_branch_cnn", "S2", "late", 43): 16_526_347,
    ("k_branch_cnn", "S1", "late", 19): 7_438_419,
    ("k_branch_cnn", "MM", "late", 19): 23_958_835,
    ("k_branch_cnn", "MM", "early", 19): 16_524_851,
    ("vgg16", "MM", "early", 19): 134_343_571,
    ("vgg19", "MM", "early", 19): 139_653_267,
    ("resnet50", "MM", "early", 19): 23_575_187,
    ("resnet50", "MM", "late", 19): 47_112_723,
    ("resnet50", "S1", "late", 19): 23_543_827,
    ("resnet50", "S2", "late", 43): 23_618_091,
    ("resnet101", "MM", "early", 19): 42_567_315,
    ("resnet152", "MM", "early", 19): 58_210_963,
    # timm 0.9.16, 12 channels and 19 outputs.
    ("timm_resnet50", "MM", "early", 19): 23_575_187,
    ("timm_resnet101", "MM", "early", 19): 42_567_315,
}


@dataclasses.dataclass(frozen=True)
class _Structure:
    """What tests ask of a network, without its weights."""

    num_trainable: int
    trainable_names: tuple[str, ...]
    inputs: dict[str, tuple[int, ...]]
    embedding_rank: int
    num_logits: int
    last_layer: str
    output_shape: tuple[int | None, ...]


@functools.cache
def _structure(name, modality, fusion, num_classes, bands_60m=None):
    with zero_weights.zero_weights():
        model = models.make_model(
            name,
            fusion=fusion,
            num_classes=num_classes,
            preprocessing=models.preprocessing_of(
                name, modality=modality, bands_60m=bands_60m
            ),
        )
    return _Structure(
        num_trainable=sum(
            x.shape.num_elements() for x in model.trainable_variables
        ),
        trainable_names=tuple(x.name for x in model.trainable_variables),
        inputs={x.name: tuple(x.shape[1:]) for x in model.inputs},
        embedding_rank=len(model.get_layer("embedding").output.shape),
        num_logits=model.get_layer("logits").output.shape[-1],
        last_layer=model.layers[-1].name,
        output_shape=model.output_shape,
    )


def test_all_models_have_a_size():
    assert {name for name, *_ in SIZES} == set(models.MODELS)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", SIZES, ids=str)
def test_number_of_trainable_parameters(arguments):
    assert _structure(*arguments).num_trainable == SIZES[arguments]


@pytest.mark.parametrize(
    ("name", "choice", "expected"),
    [
        # Two more bands in a 7 x 7 convolution to 64 features.
        ("resnet50", True, 23_575_187 + 7 * 7 * 2 * 64),
        ("resnet50", False, 23_575_187),
        # Without the branch, and a narrower dense layer after the branches.
        ("k_branch_cnn", False, 16_524_851 - 1_647_520 - 128 * 128),
        ("k_branch_cnn", True, 16_524_851),
    ],
)
def test_the_60_m_bands_can_be_chosen(name, choice, expected):
    assert _structure(name, "MM", "early", 19, choice).num_trainable == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "modality", "fusion"),
    list(
        itertools.product(
            ("small_cnn", "k_branch_cnn", "resnet50"),
            ("S1", "S2", "MM"),
            ("late", "early"),
        )
    ),
)
def test_inputs_and_layers(name, modality, fusion):
    structure = _structure(name, modality, fusion, 19)
    shapes = models.preprocessing_of(name, modality=modality).input_shapes
    assert structure.inputs == shapes
    assert structure.output_shape == (None, 19)
    assert structure.embedding_rank == 2
    assert structure.last_layer == "probabilities"
    assert structure.num_logits == 19


@pytest.mark.parametrize("name", ["small_cnn", "k_branch_cnn", "resnet50"])
def test_sensors_have_branches_of_their_own(name):
    """With late fusion a weight sees one sensor, unless it comes after."""
    weights = _structure(name, "MM", "late", 19).trainable_names
    for_s1 = [weight for weight in weights if weight.startswith("s1_")]
    for_s2 = [weight for weight in weights if weight.startswith("s2_")]
    shared = {
        weight.split("/")[0]
        for weight in set(weights) - set(for_s1) - set(for_s2)
    }
    assert for_s1
    assert for_s2
    assert shared <= {"fusion", "fusion_bn", "logits"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small_cnn", "k_branch_cnn"])
def test_embedding_and_probabilities_of_a_forward_pass(name):
    tf.keras.utils.set_random_seed(0)
    model = models.make_model(name, num_classes=43)
    random = np.random.default_rng(0)
    inputs = {
        grid: random.normal(size=(3, *shape)).astype(np.float32)
        for grid, shape in models.preprocessing_of(name).input_shapes.items()
    }
    both = tf.keras.Model(
        model.inputs, [model.get_layer("embedding").output, *model.outputs]
    )
    embedding, probabilities = both(inputs)
    # Chi-square distance needs features that are not negative.
    assert np.min(embedding) >= 0
    assert np.all((probabilities > 0) & (probabilities < 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet18", "MM", "late", 19), "Unknown model"),
        (("vgg16", "MM", "mid", 19), "Unknown fusion"),
        (("vgg16", "S1", "shared", 19), "Expected modality='MM'"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    name, modality, fusion, num_classes = arguments
    with pytest.raises(ValueError, match=message):
        models.make_model(
            name, modality=modality, fusion=fusion, num_classes=num_classes
        )


@pytest.mark.parametrize(
    "arguments",
    [{"modality": "S1"}, {"name": "k_branch_cnn"}],
    ids=["twice", "of another model"],
)
def test_preprocessing_that_does_not_fit_is_refused(arguments):
    preprocessing = models.preprocessing_of("vgg16", modality="S1")
    with pytest.raises(ValueError, match="Expected preprocessing for"):
        models.make_model(
            **{"name": "vgg16", "preprocessing": preprocessing} | arguments
        )


@pytest.mark.slow
def test_keras_that_was_chosen_before_is_refused(tmp_path):
    """Where there is another one: TensorFlow from 2.16 on.

    The variable comes too late here; `import ben_tf` refuses where it is unset.
    """
    program = (
        "import importlib.util, os\n"
        "import tensorflow as tf\n"
        "tf.keras.layers\n"
        "if importlib.util.find_spec('tf_keras'):\n"
        "    os.environ['TF_USE_LEGACY_KERAS'] = '1'\n"
        "from ben_tf import errors, models\n"
        "try: models.make_model('small_cnn')\n"
        "except errors.UserError as error: print(error)\n"
        "else: print('made')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={
            name: value
            for name, value in os.environ.items()
            if name != "TF_USE_LEGACY_KERAS"
        }
        | {"PYTHONPATH": str(pathlib.Path(__file__).parents[3])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    if importlib.util.find_spec("tf_keras"):
        assert "Expected Keras 2: import ben_tf first" in finished.stdout
    else:
        assert finished.stdout == "made\n"
