"""The scores on the card of a model, if they say anything.

Those of whole splits in metrics/<split>.json: on real patches, with these
weights, which have not been trained on those patches.
"""

from ben_tf import bigearthnet
from ben_tf import files
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.cards import model_card
from ben_tf.data import leakage
from ben_tf.evaluation import comparison
from ben_tf.evaluation import results

# The names that Hugging Face has for what a score measures.
_KINDS = {
    "sample_f2": "f2",
    "sample_recall": "recall",
    "hamming_loss": "hamming_loss",
    "one_error": "one_error",
    "macro_f2": "f2",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "macro_average_precision": "average_precision",
    "micro_average_precision": "average_precision",
}


def read(
    run: workdir_lib.Workdir, model: saved_model.Description
) -> list[model_card.Scores]:
    """Reads the scores of a run that the card of a model may show.

    Raises:
      UserError: A file of scores is damaged.
    """
    evaluations = [
        results.Evaluation.read(run, split)
        for split in bigearthnet.SPLIT_SIZES
        if run.metrics_file(split).exists()
    ]
    return [_scores(x) for x in evaluations if _says_something(x, model)]


def renew_card(
    run: workdir_lib.Workdir, model: saved_model.ServedModel
) -> None:
    """Writes the card of a run's export with the scores that there are now.

    Args:
      run: Its workdir.
      model: The export that was scored. If training has replaced it meanwhile,
        the card of the new one stays.

    Raises:
      UserError: A file of scores is damaged.
    """
    scores = read(run, model)
    exported = saved_model.read_description(run.saved_model)
    if exported == model.description:
        files.write(
            run.saved_model / model_card.FILE_NAME,
            model_card.render(
                exported, num_parameters=model.num_parameters, scores=scores
            ),
        )


def _says_something(
    evaluation: results.Evaluation, model: saved_model.Description
) -> bool:
    seen = {leakage.version_of(name) for name in model.trained_on}
    scored_on = leakage.version_of(evaluation.data.name)
    return (
        not evaluation.is_synthetic
        and not model.trained_on_synthetic
        and evaluation.model.fingerprint == model.fingerprint
        and not any(
            leakage.num_shared(version, scored_on, evaluation.split)
            for version in seen
        )
    )


def _scores(evaluation: results.Evaluation) -> model_card.Scores:
    return model_card.Scores(
        data=evaluation.data.name,
        part=evaluation.data.part,
        split=evaluation.split,
        num_samples=evaluation.num_samples,
        threshold=evaluation.threshold,
        metrics=[
            model_card.Metric(kind, comparison.HEADLINES[name], value)
            for name, kind in _KINDS.items()
            if (value := evaluation.overall[name]) is not None
        ],
    )
