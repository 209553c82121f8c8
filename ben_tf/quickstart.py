"""Runs the main job once, on a small sample archive, in about a minute.

    python -m ben_tf.quickstart --output_dir=quickstart

Archive, TFRecords, training, metrics, SavedModel, look-alike patches and the
report, with the commands that do the same on the real data. All but six pairs
of the sample archive are synthetic, and the network is a small one of ours, not
the paper's: the scores show that everything runs and say nothing about
BigEarthNet.
"""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from ben_tf import command_line
from ben_tf import config as config_lib
from ben_tf import path_flags
from ben_tf import workdir as workdir_lib
from ben_tf.config import config_flags

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

MODEL = "small_cnn"
# The environment variable that leads the notebooks to the real archive.
DATA_DIR_VARIABLE = "BEN_DATA_DIR"


def quickstart(
    output_dir: str | os.PathLike,
    *,
    model: str = MODEL,
    num_pairs: int | None = None,
) -> pathlib.Path:
    """Runs every stage that `output_dir` does not hold already.

    Args:
      output_dir: Folder for the archive, the dataset and the run.
      model: Name of the network to train.
      num_pairs: Size of the sample archive; None: that of the notebooks.

    Returns:
      The report, an HTML page.
    """
    from ben_tf.evaluation import comparison
    from ben_tf.evaluation import evaluation
    from ben_tf.report import reports
    from ben_tf.retrieval import answer_formats
    from ben_tf.retrieval import index
    from ben_tf.retrieval import index_builder
    from ben_tf.retrieval import query
    from ben_tf.training import trainer
    from tfrecords_builder import sample_data

    num_pairs = num_pairs or sample_data.NUM_PAIRS
    output_dir = pathlib.Path(output_dir)
    run = workdir_lib.Workdir(output_dir / "run")
    workdir = run.path
    config = make_config(output_dir / "data", model=model)
    with _stage(
        "Sample archive, six real pairs and synthetic ones, and its TFRecords",
        "tfrecords_builder.sample_archive "
        f"--output_dir={output_dir / 'archive'} "
        f"--num_pairs={num_pairs}",
        f"tfrecords_builder.build --archive_dir={output_dir / 'archive'} "
        f"--data_dir={config.data_dir}",
    ):
        data_dir = sample_data.make_sample_data(output_dir, num_pairs=num_pairs)
    with _stage(
        f"Train {model} on both sensors and export the best weights",
        f"ben_tf.train --workdir={workdir} {flags_of(config)}",
    ):
        trainer.train(config, workdir)
    with _stage(
        "Evaluate on the test split",
        f"ben_tf.evaluate --workdir={workdir} --data_dir={data_dir}",
    ):
        result = evaluation.evaluate(workdir=workdir, data_dir=data_dir)
        print(comparison.as_text(result, published=None))
    with _stage(
        "Index the test split and look for patches like its first one",
        f"ben_tf.retrieval build --saved_model={run.saved_model} "
        f"--data_dir={data_dir} --output_dir={run.index}",
    ):
        index_builder.build_index(
            saved_model=run.saved_model,
            data_dir=data_dir,
            output_dir=run.index,
        )
        opened = index.Index.open(run.index)
        answer = query.query(opened, names=[opened.names[0]], k=5)
        print(answer_formats.write(answer, "table"))
    with _stage(
        "Report",
        f"ben_tf.report --workdir={workdir} --data_dir={data_dir}",
    ):
        page = reports.write_report(workdir=workdir, data_dir=data_dir)
    print(
        f"\nOpen the report in a browser: {page}\n"
        "Search in a browser, after pip install '.[search]':\n"
        f"   python -m ben_tf.retrieval serve --index={run.index}"
    )
    return page


def make_config(
    data_dir: str | os.PathLike, *, model: str = MODEL
) -> config_lib.Config:
    """What the quickstart trains: a small network, or another one for longer.

    Args:
      data_dir: Folder with the built dataset.
      model: Name of the network.
    """
    config = config_flags.from_experiment(MODEL, data_dir=os.fspath(data_dir))
    if model == MODEL:
        return config
    return dataclasses.replace(
        config, model=model, epochs=9, learning_rate=2e-3
    )


@dataclasses.dataclass(frozen=True)
class Trial:
    """A dataset to try things on, and what suits it.

    Attributes:
      data_dir: Folder with the built dataset.
      builder: The dataset, opened.
      synthetic: Whether its records come from the sample archive.
      runs: Folder for what is trained on it, below the current one.
      settings: A run for it: a small network of ours on the sample, the paper's
        ResNet50 on real data.
    """

    data_dir: pathlib.Path
    builder: "tfds.core.DatasetBuilder"
    synthetic: bool
    runs: pathlib.Path
    settings: config_lib.Config


def open_trial(*, version: str = "v1", num_pairs: int | None = None) -> Trial:
    """Opens the dataset that BEN_DATA_DIR names, or else a small sample.

    The sample is made in the current folder, once; that takes 15 seconds on two
    cores. Prints what was opened.

    Args:
      version: Of BigEarthNet, "v1" or "v2", if it is a sample.
      num_pairs: Size of the sample; None: that of the quickstart.

    Raises:
      UserError: BEN_DATA_DIR is set and holds no dataset.
    """
    from ben_tf.data import built_dataset
    from tfrecords_builder import sample_data

    data_dir = os.environ.get(
        DATA_DIR_VARIABLE
    ) or sample_data.make_sample_data(
        "sample" if version == "v1" else f"sample/{version}",
        num_pairs=num_pairs or sample_data.NUM_PAIRS,
        version=version,
    )
    builder = built_dataset.open_dataset(data_dir)
    synthetic = built_dataset.is_synthetic(builder)
    splits = builder.info.splits.values()
    print(
        f"{sum(split.num_examples for split in splits):,} pairs of BigEarthNet "
        f"{builder.info.config_name}"
        + (", of a SYNTHETIC sample archive" if synthetic else "")
    )
    return Trial(
        data_dir=pathlib.Path(data_dir),
        builder=builder,
        synthetic=synthetic,
        runs=pathlib.Path("runs", "sample" if synthetic else "archive"),
        settings=make_config(data_dir)
        if synthetic
        else config_lib.Config(data_dir=os.fspath(data_dir)),
    )


@contextlib.contextmanager
def _stage(title: str, *commands: str) -> Iterator[None]:
    """Announces a stage, its commands and how long it took."""
    print("\n   python -m ".join([f"\n== {title}", *commands]), flush=True)
    start = time.monotonic()
    yield
    print(f"   done in {time.monotonic() - start:.0f} s", flush=True)


def flags_of(config: config_lib.Config) -> str:
    """The flags of ben_tf.train that differ from their defaults."""
    return " ".join(
        f"--{'' if value else 'no'}{name}"
        if isinstance(value, bool)
        else f"--{name}={value}"
        for name, value in config_lib.differences_from_default(config).items()
    )


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    output_dir = path_flags.define_path(
        "output_dir",
        "quickstart",
        "Folder for everything; stages that it holds already are not repeated.",
    )

    model = flags.DEFINE_string(
        "model",
        MODEL,
        "Network to train: small_cnn, a small one of ours and not the paper's, "
        "or any other --model of ben_tf.train. K-Branch CNN takes ten times as "
        "long.",
    )

    def main() -> None:
        make_config(output_dir.value, model=model.value)  # Refuses others.
        command_line.import_tensorflow()
        quickstart(output_dir.value, model=model.value)

    return main


if __name__ == "__main__":
    command_line.run(command)
