"""Metrics, options and losses by the names that people say.

Files, flags and tables on the console keep the identifiers.
"""

import types

# The averages that metrics begin with, and how `comparison.HEADLINES` says it.
_AVERAGES = {
    "sample_": "sample average",
    "macro_": "macro",
    "micro_": "micro",
}
_WORDS = types.MappingProxyType(
    {
        # Metrics.
        "f0_5": "F0.5",
        "label_cardinality": "Labels of a patch",
        "label_ranking_average_precision": "Label ranking average precision",
        "one_error": "One-error",
        # Options.
        "bands_60m": "Bands of 60 m",
        "branch_workdirs": "Workdirs of the branches",
        "checkpoint_every_steps": "Checkpoint every, steps",
        "clip_norm": "Clip gradients to norm",
        "data_dir": "Dataset folder",
        "duplicate_vv": "VH overwritten by VV",
        "early_stopping_patience": "Early stopping patience, epochs",
        "hash_bits": "Bits of binary codes",
        "imagenet_weights": "ImageNet weights",
        "initial_workdir": "Workdir of the initial weights",
        "jit_compile": "Compile with XLA",
        "modality": "Sensors",
        "num_classes": "Classes",
        "schedule": "Learning rate schedule",
        "schedule_end": "Schedule ends at, share of the learning rate",
        "train_split": "Training split",
        "warmup_epochs": "Warm-up, epochs",
        "warmup_start": "Warm-up starts at, share of the learning rate",
        "worker_timeout_s": "Worker timeout, seconds",
        # Losses, optimisers and other choices.
        "sigmoid_cross_entropy": "sigmoid cross-entropy",
        "class_weighted": "class-weighted cross-entropy",
        "adamw": "AdamW",
        "lamb": "LAMB",
        "lookahead_adam": "Lookahead with Adam",
        "sgd": "SGD",
        "n_pairs": "N-pairs",
        "small_cnn": "Small CNN",
        "k_branch_cnn": "K-Branch CNN",
        "mixed_bfloat16": "mixed bfloat16",
        "mixed_float16": "mixed float16",
        "multi_worker": "several workers",
        "one_device": "one device",
        "MM": "Sentinel-1 and 2",
        "S1": "Sentinel-1",
        "S2": "Sentinel-2",
    }
)


def metric(name: str) -> str:
    """A metric, such as "Recall, macro" for "macro_recall"."""
    for start, average in _AVERAGES.items():
        measure = name.removeprefix(start)
        if measure != name:
            return f"{option(measure)}, {average}"
    return option(name)


def option(name: str) -> str:
    """An option, such as "Learning rate" for "learning_rate"."""
    # Names in a file may be anybody's.
    plain = name.replace("_", " ")
    return _WORDS.get(name, plain[:1].upper() + plain[1:])


def choice(value: str) -> str:
    """One of an option's choices, such as a loss; other text as it is."""
    return _WORDS.get(value, value)
