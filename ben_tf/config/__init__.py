"""The configuration of a run: one dataclass that all else is made from.

`Config` is what notebooks build, what `config_flags` turns into command-line
flags, and what a workdir keeps as config.json.
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.config import fields

# Networks with the layers of TF-Slim, whose weights others have released.
SLIM_MODELS = ("vgg16", "vgg19", "resnet50", "resnet101", "resnet152")
# Those of v2.0, which it released weights of.
TIMM_MODELS = ("timm_resnet50", "timm_resnet101")


@dataclasses.dataclass(frozen=True)
class Config:
    """How to train.

    Defaults are the paper's settings (section III), but for `fusion`: the paper
    stacks the bands of both sensors ("early").

    Raises:
      UserError: A value is not among its choices or below its minimum.
    """

    data_dir: str = fields.field(
        "~/tensorflow_datasets",
        "Folder with the built dataset (python -m tfrecords_builder.build).",
        may_change=True,
        is_path=True,
        usual=True,
        group="data",
    )
    model: str = fields.field(
        "resnet50",
        "Network. The paper's (VGG, ResNet), the authors' K-Branch CNN, or "
        "small_cnn, a small one of ours for laptops and trials, not the "
        "paper's; timm_resnet50 and timm_resnet101 are those of BigEarthNet "
        "v2.0: as timm lays them out, coarse bands brought to 120 pixels by "
        "repeating pixels.",
        choices=("small_cnn", "k_branch_cnn", *SLIM_MODELS, *TIMM_MODELS),
        usual=True,
        group="network",
    )
    modality: str = fields.field(
        "MM",
        "Sensors: Sentinel-1, Sentinel-2, or both (MM).",
        choices=tuple(bigearthnet.MODALITIES),
        usual=True,
        group="network",
    )
    fusion: str = fields.field(
        "late",
        "How both sensors are joined: 'late' trains a branch for each and "
        "joins their features; 'early' stacks the bands, as the paper does; "
        "'shared' trains a branch for each into one space, in which Sentinel-1 "
        "patches find Sentinel-2 patches.",
        choices=("late", "early", "shared"),
        usual=True,
        group="network",
    )
    embedding_loss: str = fields.field(
        "none",
        "Loss that draws the embeddings of patches with common labels "
        "together, next to the classification loss: 'n_pairs'; with "
        "--fusion=shared also 'contrastive', both across the sensors; with "
        "other fusions also 'triplet' (equal label sets). Those of other "
        "fusions need TensorFlow Addons.",
        choices=("none", "n_pairs", "contrastive", "triplet"),
        group="training",
    )
    embedding_loss_weight: float = fields.field(
        1.0,
        "Weight of --embedding_loss.",
        minimum=0.0,
        group="training",
    )
    embedding_size: int = fields.field(
        128,
        "With --fusion=shared: dimensions of the space.",
        minimum=2,
        group="network",
    )
    hash_bits: int = fields.field(
        0,
        "With --fusion=shared: train binary codes of this many bits instead of "
        "embeddings of --embedding_size numbers; 0: no codes.",
        minimum=0,
        group="network",
    )
    num_classes: int = fields.field(
        19,
        "Nomenclature: 19 classes (the paper) or the 43 of CORINE.",
        choices=tuple(bigearthnet.CLASSES),
        usual=True,
        group="data",
    )
    bands_60m: str = fields.field(
        "auto",
        "Sentinel-2 bands 1 and 9: 'auto' follows the authors, with them in "
        "small_cnn and k_branch_cnn and without them in the others, where "
        "'on' adds them to the stack, upsampled like the 20 m bands.",
        choices=("auto", "on", "off"),
        group="data",
    )
    duplicate_vv: bool = fields.field(
        False,
        "Overwrite VH by VV, as the reader of bigearthnet-models-tf 1.1.1 did "
        "by mistake; only to compare with models trained that way.",
        group="data",
    )
    statistics: bigearthnet.Statistics = fields.field(  # noqa: RUF009 # A field.
        bigearthnet.PAPER_STATISTICS,
        "Means and standard deviations that bands are standardised with: "
        "'paper', those of the authors' code; 'v2', those published for "
        "BigEarthNet v2.0; or a file that python -m ben_tf.statistics wrote, "
        "whose figures the run keeps.",
        group="data",
    )
    initial_weights: str = fields.field(
        "random",
        "Weights to start from: 'random' (the paper, from scratch) or "
        "'imagenet' (VGG and ResNet only; the stem is adapted to the bands).",
        choices=("random", "imagenet"),
        group="network",
    )
    imagenet_weights: str = fields.field(
        "",
        "With --initial_weights=imagenet: TF-Slim's checkpoint, such as "
        "resnet_v1_50.ckpt. By default it is looked for in ~/.keras/models.",
        may_change=True,
        is_path=True,
        group="network",
    )
    initial_workdir: str = fields.field(
        "",
        "Start from the best weights of this run, or of imported ones: the "
        "same network, bands, classes and statistics, on any data.",
        is_path=True,
        group="network",
    )
    branch_workdirs: str = fields.field(
        "",
        "With --fusion=late: start from two trained networks, the workdirs of "
        "Sentinel-1 and of Sentinel-2 with a comma between them. The joint "
        "classifier begins as the mean of their logits.",
        is_path=True,
        group="network",
    )
    trainable: str = fields.field(
        "all",
        "What to train: 'all' weights, or only the 'head', the final layer, on "
        "frozen features.",
        choices=("all", "head"),
        group="network",
    )
    train_split: str = fields.field(
        "train",
        "What to train on: a split or a part of one, such as 'train[:10%]', "
        "'train[country!=Finland]' or 'train[:10%][label=Pastures & "
        "season=Spring|Summer]'.",
        group="data",
    )
    validation_split: str = fields.field(
        "validation",
        "What chooses the best checkpoint: a split or a part of one.",
        group="data",
    )
    batch_size: int = fields.field(
        500,
        "Patches in a step, over all devices (paper: 500, ResNet152 256).",
        minimum=1,
        usual=True,
        group="training",
    )
    epochs: int = fields.field(
        100,
        "Passes over the training split.",
        minimum=1,
        may_change=True,
        usual=True,
        group="training",
    )
    loss: str = fields.field(
        "sigmoid_cross_entropy",
        "Classification loss: 'sigmoid_cross_entropy' (paper); 'focal' "
        "down-weights well-classified examples (Lin et al. 2017, gamma 2); "
        "'class_weighted' weights the positives of a class by patches without "
        "it / patches with it, at most 100, so that rare classes weigh more.",
        choices=("sigmoid_cross_entropy", "focal", "class_weighted"),
        group="training",
    )
    optimizer: str = fields.field(
        "adam",
        "Optimiser; lamb and lookahead_adam come from TensorFlow Addons.",
        choices=("adam", "adamw", "sgd", "lamb", "lookahead_adam"),
        group="training",
    )
    learning_rate: float = fields.field(
        1e-3,
        "Learning rate, or its peak under a schedule.",
        minimum=0.0,
        usual=True,
        group="training",
    )
    weight_decay: float = fields.field(
        1e-4,
        "With --optimizer=adamw: share of each weight that a step at a "
        "learning rate of 1 would take off; steps take it times the rate.",
        minimum=0.0,
        group="training",
    )
    schedule: str = fields.field(
        "constant",
        "Learning rate over time: 'constant' (paper), or 'cosine': down to "
        "--schedule_end at the end of --epochs.",
        choices=("constant", "cosine"),
        group="training",
    )
    schedule_end: float = fields.field(
        0.0,
        "With --schedule=cosine: where it ends, as a share of --learning_rate.",
        minimum=0.0,
        group="training",
    )
    warmup_epochs: float = fields.field(
        0.0,
        "Epochs over which the learning rate rises, in a line, from "
        "--warmup_start to --learning_rate.",
        minimum=0.0,
        group="training",
    )
    warmup_start: float = fields.field(
        0.0,
        "With --warmup_epochs: where the rise begins, as a share of "
        "--learning_rate.",
        minimum=0.0,
        group="training",
    )
    head_dropout: float = fields.field(
        0.0,
        "Share of the features to drop in front of the classifier while "
        "training; 0: as the network has it, half in VGG and K-Branch CNN, "
        "none in the others.",
        minimum=0.0,
        group="network",
    )
    clip_norm: float = fields.field(
        0.0,
        "Scale gradients down so that their norm over all weights is at most "
        "this; 0: no clipping.",
        minimum=0.0,
        group="training",
    )
    weight_averaging: float = fields.field(
        0.0,
        "Validate and export a running average of the weights: in each step "
        "new = this x average + (1 - this) x weights, such as 0.999; 0 uses "
        "the weights themselves.",
        minimum=0.0,
        group="training",
    )
    early_stopping_patience: int = fields.field(
        0,
        "Stop after this many epochs in a row without a better macro average "
        "precision on the validation split; 0: train all --epochs.",
        minimum=0,
        may_change=True,
        group="training",
    )
    checkpoint_every_steps: int = fields.field(
        250,
        "Save a checkpoint every so many steps within an epoch, from which an "
        "interrupted run resumes; 0: only after each epoch.",
        minimum=0,
        may_change=True,
        group="machine",
    )
    augment: bool = fields.field(
        False,
        "Flip and turn training patches (the paper does not).",
        usual=True,
        group="data",
    )
    shuffle_buffer: int = fields.field(
        2000,
        "Records in the shuffle buffer, 275 kB each. The files are shuffled "
        "as well, and the builder has mixed the records.",
        minimum=1,
        group="data",
    )
    tensorboard_patches: int = fields.field(
        4,
        "Patches of the validation split that TensorBoard shows, with their "
        "true and predicted labels after each epoch; not with several workers.",
        minimum=0,
        may_change=True,
        group="logging",
    )
    preprocessing: str = fields.field(
        "host",
        "Where bands are standardised and upsampled: in the input pipeline "
        "('host') or in front of the network on the accelerator ('device'). "
        "The result is the same.",
        choices=("host", "device"),
        group="machine",
    )
    cache: str = fields.field(
        "",
        "Read the training and the validation split once, and keep their "
        "patches as arrays: 'memory', or a folder on a fast disk, which later "
        "runs use again. Up to 275 kB a patch; batches are the same. '': read "
        "the records in every epoch.",
        is_path=True,
        may_change=True,
        group="machine",
    )
    strategy: str = fields.field(
        "auto",
        "tf.distribute strategy: 'one_device'; 'mirrored' over all GPUs of "
        "this machine; 'multi_worker' over several machines, each with the "
        "same command, a workdir that all reach, and TensorFlow's variable "
        'TF_CONFIG = {"cluster": {"worker": ["a:2222", "b:2222"]}, "task": '
        '{"type": "worker", "index": 0}}: the others wait for a lost worker, '
        "and after the same command there all resume from the last checkpoint; "
        "'tpu'; 'auto' is mirrored where there are several GPUs.",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
        usual=True,
        group="machine",
    )
    worker_timeout_s: float = fields.field(
        300.0,
        "With --strategy=multi_worker: seconds to wait for the others at "
        "most, at the start and after one was lost.",
        minimum=0.0,
        may_change=True,
        group="machine",
    )
    jit_compile: str = fields.field(
        "auto",
        "Compile the training step with XLA: 'auto' does so on a GPU; on a CPU "
        "it slows convolutions down.",
        choices=("auto", "on", "off"),
        group="machine",
    )
    precision: str = fields.field(
        "float32",
        "Numbers that the network computes with; weights, probabilities and "
        "metrics stay float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        usual=True,
        group="machine",
    )
    seed: int = fields.field(
        42,
        "Same seed, same machine: same run.",
        minimum=0,
        group="training",
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            fields.check(field, getattr(self, field.name))
        for is_broken, message, names in _rules(self):
            if is_broken:
                values = [f"`{name}={getattr(self, name)}`" for name in names]
                raise errors.UserError(
                    f"{message} Received: {', '.join(values)}"
                )


def _rules(config: Config) -> Iterator[tuple[bool, str, Sequence[str]]]:
    """Which values do not go together.

    Yields:
      Whether a rule is broken, what to say then, and the fields to name.
    """
    is_shared = config.fusion == "shared"
    yield (
        is_shared and config.modality != "MM",
        "`fusion=shared` maps both sensors into one space. Expected "
        "`modality=MM`.",
        ["modality"],
    )
    loads_weights = (
        config.initial_weights == "imagenet" or config.branch_workdirs != ""
    )
    yield (
        loads_weights and config.model not in SLIM_MODELS,
        "`initial_weights=imagenet` and `branch_workdirs` start from weights "
        "that only VGGs and ResNets have. Expected one of "
        f"{', '.join(SLIM_MODELS)} with them.",
        ["model"],
    )
    sources = {
        "initial_weights": config.initial_weights != "random",
        "initial_workdir": config.initial_workdir != "",
        "branch_workdirs": config.branch_workdirs != "",
    }
    yield (
        sum(sources.values()) > 1,
        "Weights to start from come from one place. Expected one of "
        f"{', '.join(f'`{name}`' for name in sources)}.",
        [name for name, is_given in sources.items() if is_given],
    )
    yield (
        config.branch_workdirs != ""
        and (config.fusion, config.modality) != ("late", "MM"),
        "`branch_workdirs` joins the networks of two sensors. Expected "
        "`fusion=late` and `modality=MM` with it.",
        ["fusion", "modality"],
    )
    yield (
        config.modality == "S1" and config.bands_60m == "on",
        "`bands_60m=on` adds bands of Sentinel-2. Expected `modality=S2` or MM "
        "with it.",
        ["modality"],
    )
    yield (
        config.modality == "S2" and config.duplicate_vv,
        "`duplicate_vv` changes bands of Sentinel-1. Expected `modality=S1` or "
        "MM with it.",
        ["modality"],
    )
    yield (
        not is_shared
        and (config.embedding_loss == "contrastive" or config.hash_bits > 0),
        "`embedding_loss=contrastive` and `hash_bits` train a space that both "
        "sensors share. Expected `fusion=shared` with them.",
        ["fusion"],
    )
    yield (
        is_shared and config.embedding_loss == "triplet",
        "`embedding_loss=triplet` is for the one embedding of a patch. "
        "Expected n_pairs or contrastive with `fusion=shared`.",
        ["embedding_loss"],
    )
    yield (
        config.weight_decay != Config.weight_decay
        and config.optimizer != "adamw",
        "`weight_decay` is a part of AdamW. Expected `optimizer=adamw` with "
        "it.",
        ["optimizer"],
    )
    yield (
        config.schedule_end > 0 and config.schedule != "cosine",
        "`schedule_end` is where a schedule ends. Expected `schedule=cosine` "
        "with it.",
        ["schedule"],
    )
    yield (
        config.warmup_start > 0 and config.warmup_epochs == 0,
        "`warmup_start` is where a warm-up begins. Expected `warmup_epochs` "
        "above 0 with it.",
        ["warmup_epochs"],
    )
    yield (
        max(config.schedule_end, config.warmup_start) > 1,
        "`schedule_end` and `warmup_start` are shares of the learning rate. "
        "Expected at most 1.",
        ["schedule_end", "warmup_start"],
    )
    yield (
        config.head_dropout >= 1,
        "`head_dropout` is a share of the features. Expected less than 1.",
        ["head_dropout"],
    )
    yield (
        config.weight_averaging >= 1,
        "`weight_averaging` is the share that the average keeps in each step. "
        "Expected less than 1.",
        ["weight_averaging"],
    )


def differences_from_default(
    config: Config,
) -> dict[str, bool | int | float | str | bigearthnet.Statistics]:
    """Field -> value for each field that is not at its default."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(Config)
        if getattr(config, field.name) != field.default
    }
