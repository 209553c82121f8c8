r"""Makes a workdir of a model that others released.

With `--source=paper`, the default, one of the paper's authors:

    python -m ben_tf.import_checkpoint --model=resnet50 --modality=MM \
        --num_classes=19 --checkpoint=ResNet50/models/iteration-53900 \
        --workdir=runs/released_resnet50

Their weights are TensorFlow 1 checkpoints, one zip file for each model, at
http://bigearth.net/static/pretrained-models/: BigEarthNet-MM_19-Classes/,
BigEarthNet-S2_19-Classes/ and BigEarthNet-S2_43-Classes/, each with VGG16.zip,
VGG19.zip, ResNet50.zip, ResNet101.zip and ResNet152.zip. What is unpacked from
one becomes config.json, checkpoints/best and saved_model/, so that
`ben_tf.evaluate`, `ben_tf.predict` and `ben_tf.retrieval` take it like a model
that was trained here. Optimiser slots and the step counter are left behind.

With `--source=reben`, one of BigEarthNet v2.0:

    python -m ben_tf.import_checkpoint --source=reben \
        --weights=BIFOLD-BigEarthNetv2-0/resnet50-all-v0.2.0 \
        --workdir=runs/reben_resnet50

`--weights` is a name on Hugging Face, which takes `pip install
huggingface_hub`, or a folder with its config.json and model.safetensors.
ResNet50 and ResNet101 of Sentinel-1 (s1), Sentinel-2 (s2) or both (all) can be
imported; PyTorch is not needed.
"""

from collections.abc import Callable
from collections.abc import Sequence

from absl import flags

from ben_tf import command_line
from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import path_flags

# The paper's authors released nothing for Sentinel-1 alone.
MODALITIES = ("MM", "S2")
# Those of `timm_checkpoint.BAND_ORDERS`, which takes TensorFlow to import.
WEIGHTS_VERSIONS = ("0.2.0", "0.1.1")
_GROUPS = {
    "with --source=paper": (
        "checkpoint",
        "model",
        "modality",
        "num_classes",
        "duplicate_vv",
    ),
    "with --source=reben": ("weights", "weights_version"),
}


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    source = flags.DEFINE_enum(
        "source",
        "paper",
        ["paper", "reben"],
        "Whose weights: 'paper', TF-Slim's checkpoints of the paper's authors; "
        "'reben', those of BigEarthNet v2.0.",
    )
    weights = path_flags.define_path(
        "weights",
        None,
        "Folder with config.json and model.safetensors, "
        "or its name on Hugging Face.",
    )
    weights_version = flags.DEFINE_enum(
        "weights_version",
        None,
        WEIGHTS_VERSIONS,
        "Version at the end of the name on Hugging Face, for a folder. It "
        "decides the order of the bands.",
    )
    checkpoint = path_flags.define_path(
        "checkpoint",
        None,
        "Unpacked checkpoint, its prefix such as "
        ".../iteration-53900, one of its files, or a folder that holds no "
        "other one.",
    )
    workdir = path_flags.define_path(
        "workdir", None, "New folder for the model.", required=True
    )
    model = flags.DEFINE_enum("model", None, config_lib.SLIM_MODELS, "Network.")
    modality = flags.DEFINE_enum(
        "modality",
        None,
        MODALITIES,
        "Sensors that the model was trained on: both (MM) or Sentinel-2.",
    )
    num_classes = flags.DEFINE_integer(
        "num_classes",
        19,
        "Classes that it was trained on, 19 or 43.",
    )
    duplicate_vv = flags.DEFINE_bool(
        "duplicate_vv",
        False,
        "Give the model VV in place of VH, standardised "
        "as VH. The authors' reader (bigearthnet-models-tf 1.1.1) did so by "
        "mistake, and whether the released MM weights were trained that way "
        "cannot be told from their sources. Import both ways and keep what "
        "scores better on the validation split.",
    )

    def main() -> None:
        of_source = {
            "paper": (checkpoint, model, modality, num_classes, duplicate_vv),
            "reben": (weights, weights_version),
        }
        taken = of_source.pop(source.value)
        (others,) = of_source.values()
        required = {"checkpoint", "model", "modality", "weights"}
        _check_flags(
            source.value,
            missing=[
                x.name for x in taken if x.name in required and x.value is None
            ],
            useless=[x.name for x in others if x.present],
        )
        command_line.import_tensorflow()
        from ben_tf.training import released_weights

        # Each flag has the name of its argument.
        values = {"workdir": workdir.value} | {x.name: x.value for x in taken}
        if source.value == "paper":
            path = released_weights.import_checkpoint(**values)
        else:
            path = released_weights.import_reben(**values)
        print(
            f"Exported the imported model to {path}. Score it with python -m "
            f"ben_tf.evaluate --workdir={workdir.value} --data_dir=..."
        )

    return main


def _check_flags(
    source: str, *, missing: Sequence[str], useless: Sequence[str]
) -> None:
    """Refuses to guess a flag, or to pass over one of the other source."""
    for what, names in (("needs", missing), ("does not take", useless)):
        if names:
            raise errors.UserError(
                f"`source={source}` {what} "
                f"{', '.join(f'`{name}`' for name in names)}."
            )


if __name__ == "__main__":
    command_line.run(command, groups=_GROUPS)
