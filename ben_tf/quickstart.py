"""Runs the main job once, on a small sample archive, in a few minutes.

    python -m ben_tf.quickstart --output_dir=quickstart

Archive, TFRecords, training, metrics, SavedModel, look-alike patches and the
report, with the commands that do the same on the real data. All but six pairs
of the sample archive are synthetic: the scores show that the road works and say
nothing about BigEarthNet.
"""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Callable
from collections.abc import Iterator

from absl import flags

from ben_tf import command_line
from ben_tf import config as config_lib

NUM_PAIRS = 1600


def quickstart(
    output_dir: str | os.PathLike, *, num_pairs: int = NUM_PAIRS
) -> pathlib.Path:
    """Runs every stage that `output_dir` does not hold already.

    Args:
      output_dir: Folder for the archive, the dataset and the run.
      num_pairs: Size of the sample archive.

    Returns:
      The report, an HTML page.
    """
    from ben_tf.evaluation import comparison
    from ben_tf.evaluation import evaluation
    from ben_tf.report import reports
    from ben_tf.retrieval import index
    from ben_tf.retrieval import index_builder
    from ben_tf.retrieval import query
    from ben_tf.training import trainer

    output_dir = pathlib.Path(output_dir)
    workdir = output_dir / "run"
    index_dir = workdir / "index"
    data_dir = make_sample_data(output_dir, num_pairs=num_pairs)
    config = make_config(data_dir)
    with _stage(
        "Train both sensors, late fusion, and export the best model",
        f"ben_tf.train --workdir={workdir} {flags_of(config)}",
    ):
        trainer.train(config, workdir)
    with _stage(
        "Evaluate on the test split",
        f"ben_tf.evaluate --workdir={workdir} --data_dir={data_dir}",
    ):
        result = evaluation.evaluate(workdir=workdir, data_dir=data_dir)
        print(comparison.as_text(result, with_paper=False))
    with _stage(
        "Index the test split and look for patches like its first one",
        f"ben_tf.retrieval build --saved_model={workdir}/saved_model "
        f"--data_dir={data_dir} --output_dir={index_dir}",
    ):
        index_builder.build_index(
            saved_model=workdir / "saved_model",
            data_dir=data_dir,
            output_dir=index_dir,
        )
        opened = index.Index.open(index_dir)
        answer = query.query(opened, names=[opened.names[0]], k=5)
        print(query.format_answer(answer))
    with _stage(
        "Report",
        f"ben_tf.report --workdir={workdir} --data_dir={data_dir}",
    ):
        return reports.write_report(workdir=workdir, data_dir=data_dir)


def make_sample_data(
    output_dir: str | os.PathLike, *, num_pairs: int
) -> pathlib.Path:
    """Writes the sample archive and builds it, unless that has been done.

    Args:
      output_dir: Folder for the archive and the dataset.
      num_pairs: Size of the archive.

    Returns:
      The folder with the dataset.
    """
    from ben_tf.data import built_dataset
    from tfrecords_builder import build
    from tfrecords_builder import sample_archive

    archive_dir = pathlib.Path(output_dir) / "archive"
    data_dir = pathlib.Path(output_dir) / "data"
    with _stage(
        "Sample archive, six real pairs and synthetic ones",
        f"tfrecords_builder.sample_archive --output_dir={archive_dir} "
        f"--num_pairs={num_pairs}",
    ):
        if not archive_dir.exists():
            sample_archive.write_sample_archive(
                archive_dir, num_pairs=num_pairs
            )
    with _stage(
        "Archive to TFRecords",
        f"tfrecords_builder.build --archive_dir={archive_dir} "
        f"--data_dir={data_dir}",
    ):
        if not built_dataset.built_versions(data_dir):
            build.build(archive_dir=archive_dir, data_dir=data_dir)
    return data_dir


def make_config(data_dir: str | os.PathLike) -> config_lib.Config:
    """The smallest network, on a budget of two minutes on two cores."""
    return config_lib.Config(
        data_dir=os.fspath(data_dir),
        model="k_branch_cnn",
        modality="MM",
        batch_size=16,
        epochs=9,
        learning_rate=2e-3,
        schedule="cosine",
        augment=True,
    )


def make_notebook_config(data_dir: str | os.PathLike) -> config_lib.Config:
    """What notebooks train: the paper's settings, on the sample about a minute.

    Args:
      data_dir: Folder with the built dataset.
    """
    from ben_tf.data import built_dataset

    if not built_dataset.is_synthetic(built_dataset.open_dataset(data_dir)):
        return config_lib.Config(data_dir=os.fspath(data_dir))
    return dataclasses.replace(
        make_config(data_dir),
        batch_size=8,
        epochs=2,
        # Turned patches would take more epochs to learn from.
        augment=False,
        train_split="train[:240]",
        validation_split="validation[:40]",
        checkpoint_every_steps=0,
    )


@contextlib.contextmanager
def _stage(title: str, command_text: str) -> Iterator[None]:
    """Announces a stage, its command and how long it took."""
    print(f"\n== {title}\n   python -m {command_text}", flush=True)
    start = time.monotonic()
    yield
    print(f"   done in {time.monotonic() - start:.0f} s", flush=True)


def flags_of(config: config_lib.Config) -> str:
    """The flags of ben_tf.train that differ from their defaults."""
    changed = []
    for name, value in config_lib.differences_from_default(config).items():
        if isinstance(value, bool):
            changed.append(f"--{'' if value else 'no'}{name}")
        else:
            changed.append(f"--{name}={value}")
    return " ".join(changed)


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    output_dir = flags.DEFINE_string(
        "output_dir",
        "quickstart",
        "Folder for everything; stages that it holds already are not repeated.",
    )

    def main() -> None:
        page = quickstart(output_dir.value)
        print(f"\nOpen the report in a browser: {page}")

    return main


if __name__ == "__main__":
    command_line.run(command, uses_tensorflow=True)
