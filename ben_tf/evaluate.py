"""Scores a trained model on a split, next to published figures.

    python -m ben_tf.evaluate --workdir=runs/resnet50 --split=test

Writes WORKDIR/metrics/<split>.json (all metrics, intervals, groups) and
WORKDIR/predictions/<split>.npz (labels and probabilities of every patch), and
shows the scores of a whole split in WORKDIR/saved_model/README.md.
"""

from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import path_flags

_GROUPS = {
    "data": ("data_dir", "split", "batch_size"),
    "scores": ("thresholds", "compare_to", "allow_leakage"),
}


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    workdir = path_flags.define_path(
        "workdir",
        None,
        "Folder of the training run; its saved_model is evaluated.",
        required=True,
    )
    data_dir = path_flags.define_path(
        "data_dir",
        None,
        "Folder with the TFRecords that tfrecords_builder.build wrote. By "
        "default the one that the run was trained on.",
    )
    split = flags.DEFINE_string(
        "split",
        "test",
        "What to score: train, validation, test, excluded, or a part of one "
        "such as 'test[:1000]' or 'test[country=Finland]'.",
    )
    batch_size = flags.DEFINE_integer(
        "batch_size",
        256,
        "Patches at a time. Changes speed and memory, never the scores.",
        lower_bound=1,
    )
    thresholds = flags.DEFINE_enum(
        "thresholds",
        "paper",
        ["paper", "tuned"],
        "When a class is predicted. paper: at p >= 0.5. tuned: scores with "
        "thresholds that give the highest F1 of each class on the validation "
        "split are shown next to those.",
    )
    allow_leakage = flags.DEFINE_bool(
        "allow_leakage",
        False,
        "Score a model trained on another version of BigEarthNet, whose "
        "training patches are among those of the split. Every page says so.",
    )
    compare_to = flags.DEFINE_enum(
        "compare_to",
        "auto",
        ["auto", "paper", "v2", "none"],
        "Whose figures to print next to ours: the tables of the paper, on v1.0 "
        "of BigEarthNet, or the cards of the models published for v2.0. auto: "
        "those of the version that is scored.",
    )

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.evaluation import comparison
        from ben_tf.evaluation import evaluation
        from ben_tf.evaluation import published

        evaluated = evaluation.evaluate(
            workdir=workdir.value,
            data_dir=data_dir.value,
            split=split.value,
            batch_size=batch_size.value,
            thresholds=thresholds.value,
            allow_leakage=allow_leakage.value,
        )
        theirs = published.SOURCES.get(compare_to.value)  # "none": none.
        if compare_to.value == "auto":
            theirs = comparison.published_for(evaluated)
        print(comparison.as_text(evaluated, published=theirs))
        print(f"Metrics and predictions are in {workdir.value}")

    return main


if __name__ == "__main__":
    command_line.run(command, groups=_GROUPS)
