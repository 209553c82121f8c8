r"""Makes a workdir of a model that the paper's authors released.

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
"""

from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import config as config_lib
from ben_tf import path_flags

MODALITIES = ("MM", "S2")  # Nothing was released for Sentinel-1 alone.


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    checkpoint = path_flags.define_path(
        "checkpoint",
        None,
        "Unpacked checkpoint: its prefix such as .../iteration-53900, one of "
        "its files, or a folder that holds no other one.",
        required=True,
    )
    workdir = path_flags.define_path(
        "workdir", None, "New folder for the model.", required=True
    )
    model = flags.DEFINE_enum(
        "model", None, config_lib.SLIM_MODELS, "Network.", required=True
    )
    modality = flags.DEFINE_enum(
        "modality",
        None,
        MODALITIES,
        "Sensors that the model was trained on: both (MM) or Sentinel-2.",
        required=True,
    )
    num_classes = flags.DEFINE_integer(
        "num_classes", 19, "Classes that it was trained on, 19 or 43."
    )
    duplicate_vv = flags.DEFINE_bool(
        "duplicate_vv",
        False,
        "Give the model VV in place of VH, standardised as VH. The authors' "
        "reader (bigearthnet-models-tf 1.1.1) did so by mistake, and whether "
        "the released MM weights were trained that way cannot be told from "
        "their sources. Import both ways and keep what scores better on the "
        "validation split.",
    )

    def main() -> None:
        from ben_tf.training import released_weights

        path = released_weights.import_checkpoint(
            checkpoint=checkpoint.value,
            workdir=workdir.value,
            model=model.value,
            modality=modality.value,
            num_classes=num_classes.value,
            duplicate_vv=duplicate_vv.value,
        )
        print(
            f"Exported the imported model to {path}. Score it with python -m "
            f"ben_tf.evaluate --workdir={workdir.value} --data_dir=..."
        )

    return main


if __name__ == "__main__":
    command_line.run(command, uses_tensorflow=True)
