"""The configuration of a run: one dataclass that all else is made from.

`Config` is what notebooks build, what `config_flags` turns into command-line
flags, and what `config_file` keeps as a workdir's config.json.
"""

import dataclasses

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.config import fields


@dataclasses.dataclass(frozen=True)
class Config:
    """How to train. Defaults are the paper's settings (section III).

    Raises:
      UserError: A value is not among its choices or below its minimum.
    """

    data_dir: str = fields.field(
        "~/tensorflow_datasets",
        "Folder with the built dataset (python -m tfrecords_builder.build).",
        may_change=True,
    )
    model: str = fields.field(
        "resnet50",
        "Network: the paper's (VGG, ResNet), the authors' K-Branch CNN, or "
        "small_cnn, a small one of ours for laptops and trials, not the "
        "paper's.",
        choices=(
            "small_cnn",
            "k_branch_cnn",
            "vgg16",
            "vgg19",
            "resnet50",
            "resnet101",
            "resnet152",
        ),
    )
    modality: str = fields.field(
        "MM",
        "Sensors: Sentinel-1, Sentinel-2, or both (MM).",
        choices=tuple(bigearthnet.MODALITIES),
    )
    fusion: str = fields.field(
        "late",
        "With both sensors: 'late' trains a branch for each and joins their "
        "features; 'early' stacks the bands, as the paper does; 'shared' "
        "trains a branch for each into one space, in which Sentinel-1 patches "
        "find Sentinel-2 patches.",
        choices=("late", "early", "shared"),
    )
    embedding_loss: str = fields.field(
        "none",
        "What pulls the embeddings of patches that share labels together, "
        "beside the classification loss: 'n_pairs'; with --fusion=shared also "
        "'contrastive', both across the sensors; with other fusions also "
        "'triplet' (equal label sets). TensorFlow Addons has those of other "
        "fusions.",
        choices=("none", "n_pairs", "contrastive", "triplet"),
    )
    embedding_loss_weight: float = fields.field(
        1.0, "Weight of --embedding_loss.", minimum=0.0
    )
    embedding_size: int = fields.field(
        128, "With --fusion=shared: dimensions of the space.", minimum=2
    )
    hash_bits: int = fields.field(
        0,
        "With --fusion=shared: train binary codes of so many bits instead of "
        "embeddings of --embedding_size numbers; 0 trains none.",
        minimum=0,
    )
    num_classes: int = fields.field(
        19,
        "Nomenclature: 19 classes (the paper) or the 43 of CORINE.",
        choices=tuple(bigearthnet.CLASSES),
    )
    bands_60m: str = fields.field(
        "auto",
        "Sentinel-2 bands 1 and 9: 'auto' as the authors have it, with them in "
        "small_cnn and k_branch_cnn and without them in the others, where "
        "'on' adds them to "
        "the stack, upsampled like the 20 m bands.",
        choices=("auto", "on", "off"),
    )
    duplicate_vv: bool = fields.field(
        False,
        "Overwrite VH by VV, which the reader of bigearthnet-models-tf 1.1.1 "
        "did by mistake; only to compare with models trained that way.",
    )
    initial_weights: str = fields.field(
        "random",
        "What training starts from: 'random' (the paper, from scratch) or "
        "'imagenet' (VGG and ResNet only), whose stem is adapted to the bands.",
        choices=("random", "imagenet"),
    )
    imagenet_weights: str = fields.field(
        "",
        "With --initial_weights=imagenet: TF-Slim's checkpoint, such as "
        "resnet_v1_50.ckpt. By default it is looked for in ~/.keras/models.",
        may_change=True,
    )
    branch_workdirs: str = fields.field(
        "",
        "With --fusion=late: start from two trained networks, the workdirs of "
        "Sentinel-1 and of Sentinel-2 with a comma between them. The joint "
        "classifier begins as the mean of their logits.",
    )
    trainable: str = fields.field(
        "all",
        "What training changes: 'all' weights, or only the 'head', the final "
        "layer, on features that stay as they are.",
        choices=("all", "head"),
    )
    train_split: str = fields.field(
        "train", "TFDS split to train on; parts work."
    )
    validation_split: str = fields.field(
        "validation", "TFDS split that chooses the best checkpoint."
    )
    batch_size: int = fields.field(
        500,
        "Patches in a step, over all devices (paper: 500, ResNet152 256).",
        minimum=1,
    )
    epochs: int = fields.field(
        100, "Passes over the training split.", minimum=1, may_change=True
    )
    loss: str = fields.field(
        "sigmoid_cross_entropy",
        "Classification loss: 'sigmoid_cross_entropy' (paper); 'focal' counts "
        "what is classified well for less (Lin et al. 2017, gamma 2); "
        "'class_weighted' counts the positives of a class for patches without "
        "it / patches with it, at most 100, so that rare classes weigh more.",
        choices=("sigmoid_cross_entropy", "focal", "class_weighted"),
    )
    optimizer: str = fields.field(
        "adam",
        "Optimiser; lamb and lookahead_adam come from TensorFlow Addons.",
        choices=("adam", "adamw", "sgd", "lamb", "lookahead_adam"),
    )
    learning_rate: float = fields.field(
        1e-3, "Learning rate, or its peak under a schedule.", minimum=0.0
    )
    schedule: str = fields.field(
        "constant",
        "Learning rate over time: 'constant' (paper), or 'cosine': down to 0 "
        "at the end of --epochs.",
        choices=("constant", "cosine"),
    )
    warmup_epochs: float = fields.field(
        0.0, "Epochs over which the learning rate rises from 0.", minimum=0.0
    )
    clip_norm: float = fields.field(
        0.0,
        "Scale gradients down so that their norm over all weights is at most "
        "this; 0 leaves them.",
        minimum=0.0,
    )
    weight_averaging: float = fields.field(
        0.0,
        "Validate and export a running average of the weights: in each step "
        "new = this x average + (1 - this) x weights, such as 0.999; 0 uses "
        "the weights themselves.",
        minimum=0.0,
    )
    early_stopping_patience: int = fields.field(
        0,
        "Stop after so many epochs in a row without a better macro average "
        "precision on the validation split; 0 trains all --epochs.",
        minimum=0,
        may_change=True,
    )
    checkpoint_every_steps: int = fields.field(
        250,
        "Save within an epoch after so many steps, for an interrupted run to "
        "go on from there; 0 saves after each epoch only.",
        minimum=0,
        may_change=True,
    )
    augment: bool = fields.field(
        False, "Flip and turn training patches (the paper does not)."
    )
    shuffle_buffer: int = fields.field(
        2000,
        "Records in the shuffle buffer, 275 kB each. The files are shuffled "
        "as well, and the builder has mixed the records.",
        minimum=1,
    )
    preprocessing: str = fields.field(
        "host",
        "Where bands are standardised and upsampled: in the input pipeline "
        "('host') or in front of the network on the accelerator ('device'). "
        "The result is the same.",
        choices=("host", "device"),
    )
    strategy: str = fields.field(
        "auto",
        "tf.distribute strategy: 'one_device'; 'mirrored' over all GPUs of "
        "this machine; 'multi_worker' over several machines, each with the "
        "same command, a workdir that all reach, and TensorFlow's variable "
        'TF_CONFIG = {"cluster": {"worker": ["a:2222", "b:2222"]}, "task": '
        '{"type": "worker", "index": 0}}: a lost worker is waited for, '
        "and after the same command there all go on from the last checkpoint; "
        "'tpu'; 'auto' is mirrored where there are several GPUs.",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
    )
    jit_compile: str = fields.field(
        "auto",
        "Compile the training step with XLA: 'auto' does on a GPU; on a CPU "
        "convolutions are slower with it.",
        choices=("auto", "on", "off"),
    )
    precision: str = fields.field(
        "float32",
        "Numbers that the network computes with; weights, probabilities and "
        "metrics stay float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    seed: int = fields.field(
        42, "Same seed, same machine: same run.", minimum=0
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            fields.check(field, getattr(self, field.name))
        if self.fusion == "shared" and self.modality != "MM":
            raise errors.UserError(
                "--fusion=shared maps both sensors into one space. Expected "
                f"--modality=MM. Received: --modality={self.modality}"
            )
        if self.model in ("small_cnn", "k_branch_cnn") and (
            self.initial_weights == "imagenet" or self.branch_workdirs
        ):
            raise errors.UserError(
                "--initial_weights=imagenet and --branch_workdirs start from "
                f"weights that {self.model} does not have. Expected a VGG or "
                f"ResNet with them. Received: --model={self.model}"
            )
        if self.branch_workdirs and (self.fusion, self.modality) != (
            "late",
            "MM",
        ):
            raise errors.UserError(
                "--branch_workdirs joins the networks of two sensors. Expected "
                "--fusion=late --modality=MM with it. Received: "
                f"--fusion={self.fusion} --modality={self.modality}"
            )
        if self.modality == "S1" and self.bands_60m == "on":
            raise errors.UserError(
                "--bands_60m=on adds bands of Sentinel-2. Expected "
                "--modality=S2 or MM with it. Received: --modality=S1"
            )
        if self.modality == "S2" and self.duplicate_vv:
            raise errors.UserError(
                "--duplicate_vv changes bands of Sentinel-1. Expected "
                "--modality=S1 or MM with it. Received: --modality=S2"
            )
        if self.fusion != "shared" and (
            self.embedding_loss == "contrastive" or self.hash_bits
        ):
            raise errors.UserError(
                "--embedding_loss=contrastive and --hash_bits train a space "
                "that both sensors share. Expected --fusion=shared with them. "
                f"Received: --fusion={self.fusion}"
            )
        if self.fusion == "shared" and self.embedding_loss == "triplet":
            raise errors.UserError(
                "--embedding_loss=triplet is for the one embedding of a patch. "
                "Expected n_pairs or contrastive with --fusion=shared."
            )
        if self.weight_averaging >= 1:
            raise errors.UserError(
                "--weight_averaging is the share that the average keeps in "
                "each step. Expected less than 1. Received: "
                f"{self.weight_averaging}"
            )


def differences_from_default(config: Config) -> dict:
    """Field -> value for each field that is not at its default."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(Config)
        if getattr(config, field.name) != field.default
    }
