"""How a run learned: part of its report, and all of it before it is scored."""

import shlex
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from ben_tf import files
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import history
from ben_tf.pages import page
from ben_tf.report import charts
from ben_tf.report import names
from ben_tf.report import tables


def render(
    run: workdir_lib.Workdir, learned: history.History, split: str
) -> str:
    """The page of a run without scores: how it learned, and what is missing.

    Args:
      run: The run.
      learned: Its epochs.
      split: The split that a report was asked for.

    Raises:
      UserError: A file of the run is missing or damaged.
    """
    data = run.read_data()
    config = read_config(run)
    sentences = [
        "This run has not been scored: the page shows how it learned. For "
        "scores, errors, maps and patches run "
        f"{', then '.join(_commands(run, split))}",
        *missing(run, learned),
    ]
    say(sentences)
    return page.render(
        "training",
        model_name=names.choice(str(config.get("model", "Run"))),
        synthetic=data.synthetic,
        training=chart(learned, config, synthetic=data.synthetic),
        facts=tables.training_facts(data, learned),
        options=tables.options(config),
        missing=sentences,
    )


def chart(
    learned: history.History | None,
    config: Mapping[str, Any],
    *,
    synthetic: bool,
) -> charts.Chart | None:
    """Loss and metrics by epoch; None where nothing was trained."""
    if learned is None:
        return None
    # Config files of before have no other losses than the first.
    losses = [config.get("loss", ""), config.get("embedding_loss", "none")]
    return charts.training(
        learned,
        loss=" + ".join(
            names.choice(str(loss)) for loss in losses if loss != "none"
        ),
        synthetic=synthetic,
    )


def missing(
    run: workdir_lib.Workdir, learned: history.History | None
) -> list[str]:
    """What the page cannot show since it was lost, in sentences."""
    sentences = []
    # Imported weights have no such checkpoints, and no curves.
    if learned is None and run.last_checkpoints.is_dir():
        sentences.append(
            f"No epoch in {run.history_file}: the page shows no curves of "
            "training."
        )
    if not run.config_file.is_file():
        sentences.append(
            f"No file {run.config_file}: the page does not show how the run "
            "was set up."
        )
    return sentences


def say(sentences: Sequence[str]) -> None:
    """Prints sentences of the page for who does not open it."""
    for sentence in sentences:
        print(sentence, file=sys.stderr)


def read_config(run: workdir_lib.Workdir) -> dict[str, Any]:
    """What config.json says, whatever it is; empty where there is none.

    Raises:
      UserError: The file is damaged.
    """
    if not run.config_file.is_file():
        return {}
    return files.read_json(
        run.config_file,
        dict[str, Any],
        remedy="Expected the JSON that python -m ben_tf.train wrote.",
    )


def _commands(run: workdir_lib.Workdir, split: str) -> list[str]:
    """What to run for a whole report, in this order."""
    workdir = f"--workdir={run}"
    of_split = [workdir] if split == "test" else [workdir, f"--split={split}"]
    commands = [["ben_tf.evaluate", *of_split], ["ben_tf.report", *of_split]]
    if not run.saved_model.is_dir():
        # The end of a training exports the best weights by itself.
        commands.insert(0, ["ben_tf.export", workdir])
    return [shlex.join(["python", "-m", *words]) for words in commands]
