"""The configuration of a run: one dataclass that all else is made from.

`Config` is what notebooks build, what `define_flags` turns into command-line
flags, and what a workdir keeps as config.json.
"""

import dataclasses
import json
import os
import pathlib

from absl import flags

from ben_tf import atomic_file
from ben_tf import bigearthnet
from ben_tf import command_line

FILE_NAME = "config.json"


def _field(default, text: str, *, choices=None, minimum=None, may_change=False):
    """A field with what its flag needs: help, choices or lower bound.

    `may_change` marks fields that may differ when a run goes on in its workdir.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": text,
            "choices": choices,
            "minimum": minimum,
            "may_change": may_change,
        },
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """How to train. Defaults are the paper's settings (section III).

    Raises:
      UserError: A value is not among its choices or below its minimum.
    """

    data_dir: str = _field(
        "~/tensorflow_datasets",
        "Folder with the built dataset (python -m tfrecords_builder.build).",
        may_change=True,
    )
    model: str = _field(
        "resnet50",
        "Network.",
        choices=(
            "k_branch_cnn",
            "vgg16",
            "vgg19",
            "resnet50",
            "resnet101",
            "resnet152",
        ),
    )
    modality: str = _field(
        "MM",
        "Sensors: Sentinel-1, Sentinel-2, or both (MM).",
        choices=tuple(bigearthnet.MODALITIES),
    )
    fusion: str = _field(
        "late",
        "With both sensors: 'late' trains a branch for each and joins their "
        "features; 'early' stacks the bands, as the paper does; 'shared' "
        "trains a branch for each into one space, in which Sentinel-1 patches "
        "find Sentinel-2 patches.",
        choices=("late", "early", "shared"),
    )
    embedding_loss: str = _field(
        "none",
        "With --fusion=shared: what pulls patches that share labels together "
        "across the sensors, beside the classification loss.",
        choices=("none", "n_pairs", "contrastive"),
    )
    embedding_loss_weight: float = _field(
        1.0, "Weight of --embedding_loss.", minimum=0.0
    )
    embedding_size: int = _field(
        128, "With --fusion=shared: dimensions of the space.", minimum=2
    )
    hash_bits: int = _field(
        0,
        "With --fusion=shared: train binary codes of so many bits instead of "
        "embeddings of --embedding_size numbers; 0 trains none.",
        minimum=0,
    )
    num_classes: int = _field(
        19,
        "Nomenclature: 19 classes (the paper) or the 43 of CORINE.",
        choices=tuple(bigearthnet.CLASSES),
    )
    train_split: str = _field("train", "TFDS split to train on; parts work.")
    validation_split: str = _field(
        "validation", "TFDS split that chooses the best checkpoint."
    )
    batch_size: int = _field(
        500,
        "Patches in a step, over all devices (paper: 500, ResNet152 256).",
        minimum=1,
    )
    epochs: int = _field(
        100, "Passes over the training split.", minimum=1, may_change=True
    )
    optimizer: str = _field(
        "adam",
        "Optimiser; lamb and lookahead_adam come from TensorFlow Addons.",
        choices=("adam", "adamw", "sgd", "lamb", "lookahead_adam"),
    )
    learning_rate: float = _field(
        1e-3, "Learning rate, or its peak under a schedule.", minimum=0.0
    )
    schedule: str = _field(
        "constant",
        "Learning rate over time: 'constant' (paper), or 'cosine': down to 0 "
        "at the end of --epochs.",
        choices=("constant", "cosine"),
    )
    warmup_epochs: float = _field(
        0.0, "Epochs over which the learning rate rises from 0.", minimum=0.0
    )
    augment: bool = _field(
        False, "Flip and turn training patches (the paper does not)."
    )
    shuffle_buffer: int = _field(
        2000,
        "Records in the shuffle buffer, 275 kB each. The files are shuffled "
        "as well, and the builder has mixed the records.",
        minimum=1,
    )
    preprocessing: str = _field(
        "host",
        "Where bands are standardised and upsampled: in the input pipeline "
        "('host') or in front of the network on the accelerator ('device'). "
        "The result is the same.",
        choices=("host", "device"),
    )
    strategy: str = _field(
        "auto",
        "tf.distribute strategy: 'auto' mirrors over the GPUs it finds.",
        choices=("auto", "one_device", "mirrored"),
    )
    jit_compile: str = _field(
        "auto",
        "Compile the training step with XLA: 'auto' does on a GPU; on a CPU "
        "convolutions are slower with it.",
        choices=("auto", "on", "off"),
    )
    precision: str = _field(
        "float32",
        "Numbers that the network computes with; weights, probabilities and "
        "metrics stay float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    seed: int = _field(42, "Same seed, same machine: same run.", minimum=0)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        if self.fusion == "shared" and self.modality != "MM":
            raise command_line.UserError(
                "--fusion=shared maps both sensors into one space. Expected "
                f"--modality=MM. Received: --modality={self.modality}"
            )
        if self.fusion != "shared" and (
            self.embedding_loss != "none" or self.hash_bits
        ):
            raise command_line.UserError(
                "--embedding_loss and --hash_bits train a space that both "
                "sensors share. Expected --fusion=shared with them. Received: "
                f"--fusion={self.fusion}"
            )


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag for each field, with its default and help.

    `Config` itself checks choices and bounds.
    """
    define = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    for field in dataclasses.fields(Config):
        text = field.metadata["help"]
        if choices := field.metadata["choices"]:
            text += f" One of: {', '.join(map(str, choices))}."
        define[field.type](
            field.name, field.default, text, flag_values=flag_values
        )


def from_flags(flag_values: flags.FlagValues = flags.FLAGS) -> Config:
    """The configuration that the parsed flags describe."""
    return Config(
        **{
            field.name: flag_values[field.name].value
            for field in dataclasses.fields(Config)
        }
    )


def differences_from_default(config: Config) -> dict:
    """Field -> value for each field that is not at its default."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(Config)
        if getattr(config, field.name) != field.default
    }


def write(config: Config, workdir: str | os.PathLike) -> None:
    """Writes config.json, atomically."""
    path = pathlib.Path(workdir) / FILE_NAME
    content = json.dumps(dataclasses.asdict(config), indent=2)
    atomic_file.write(path, content + "\n")


def read(workdir: str | os.PathLike) -> Config:
    """Reads config.json.

    Raises:
      UserError: No such file, no JSON, an unknown field or a bad value.
    """
    path = pathlib.Path(workdir) / FILE_NAME
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise command_line.UserError(
            f"{workdir} is no workdir of a training run: it has no "
            f"{FILE_NAME}. Train one with python -m ben_tf.train "
            f"--workdir={workdir}, or correct --workdir."
        ) from error
    except (OSError, ValueError) as error:
        raise command_line.UserError(
            f"{path} cannot be read: {error}. Expected the JSON that "
            "ben_tf.train wrote."
        ) from error
    names = {field.name for field in dataclasses.fields(Config)}
    if not isinstance(values, dict) or set(values) - names:
        unknown = (
            sorted(set(values) - names) if isinstance(values, dict) else ""
        )
        raise command_line.UserError(
            f"{path} holds unknown fields {unknown}. Expected {sorted(names)}."
        )
    return Config(**values)


def check_same(config: Config, workdir: str | os.PathLike) -> None:
    """Refuses to go on in a workdir that holds another configuration.

    Raises:
      UserError: A field differs that must not change during a run.
    """
    stored = read(workdir)
    differences = [
        f"--{field.name} is {getattr(config, field.name)!r}, was "
        f"{getattr(stored, field.name)!r}"
        for field in dataclasses.fields(Config)
        if not field.metadata["may_change"]
        and getattr(config, field.name) != getattr(stored, field.name)
    ]
    if differences:
        raise command_line.UserError(
            f"The workdir {workdir} holds a run with another configuration: "
            f"{'; '.join(differences)}. Repeat its flags to go on with it, or "
            "choose another --workdir."
        )


def _check(field: dataclasses.Field, value) -> None:
    """Checks one value against its field."""
    choices, minimum = field.metadata["choices"], field.metadata["minimum"]
    expected = None
    # An integer serves as a float, but True is no integer here.
    types = (int, float) if field.type is float else (field.type,)
    if not isinstance(value, types) or (
        isinstance(value, bool) and field.type is not bool
    ):
        expected = f"a value of type {field.type.__name__}"
    elif choices is not None and value not in choices:
        expected = f"one of {', '.join(map(str, choices))}"
    elif minimum is not None and not value >= minimum:
        expected = f"at least {minimum}"
    if expected:
        raise command_line.UserError(
            f"Invalid --{field.name}. Expected {expected}. Received: {value!r}"
        )
