"""The card of a run's export shows the scores that say something of it."""

import json

import huggingface_hub
import msgspec
import pytest

from ben_tf import errors
from ben_tf import models
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import card_scores
from tests.ben_tf.evaluation import test_results


@pytest.fixture
def run(tmp_path) -> workdir_lib.Workdir:
    """With an export of an untrained network, as of real patches."""
    run = workdir_lib.Workdir(tmp_path)
    (run.path / "metrics").mkdir()
    _export(run)
    return run


def _export(run, **changes) -> None:
    preprocessing = models.preprocessing_of("small_cnn", modality="S1")
    saved_model.save(
        models.make_model("small_cnn", preprocessing=preprocessing),
        run.saved_model,
        preprocessing=preprocessing,
        name="small_cnn",
        **{
            "trained_on_synthetic": False,
            "trained_on": ("bigearthnet_mm/v1/1.0.0",),
            **changes,
        },
    )


def _write(run, split="test", **changes) -> None:
    served = saved_model.read_description(run.saved_model)
    content = msgspec.json.decode(json.dumps(test_results.CONTENT))
    content["split"] = split
    content["model"]["fingerprint"] = served.fingerprint
    for place, value in changes.items():
        first, _, second = place.partition("__")
        content[first][second] = value
    run.metrics_file(split).write_text(json.dumps(content))


def _card(run) -> huggingface_hub.ModelCard:
    return huggingface_hub.ModelCard.load(run.saved_model / "README.md")


def test_the_card_gets_the_scores(run):
    assert _card(run).data.eval_results is None
    before = saved_model.load(run.saved_model)
    _write(run)
    _write(run, "validation", overall__micro_f1=0.25)
    _write(run, "test[:3]", overall__micro_f1=0.125)
    card_scores.renew_card(run, before)
    card = _card(run)
    found = {
        (x.dataset_split, x.metric_name): (x.metric_type, x.metric_value)
        for x in card.data.eval_results
    }
    # Undefined ones, such as the macro F1 of the file, are left out.
    assert {name for _, name in found} == {
        "F2, sample average",
        "Recall, sample average",
        "Hamming loss",
        "One-error",
        "F1, micro",
        "Average precision, micro",
    }
    assert {split for split, _ in found} == {"test", "validation"}
    assert found["test", "F1, micro"] == ("f1", 0.5)
    assert found["validation", "F1, micro"] == ("f1", 0.25)
    # The model is as it was, and its card has its number of weights.
    after = saved_model.load(run.saved_model)
    assert after.description == before.description
    assert f"{after.num_parameters:,} parameters" in card.text


def test_the_card_of_another_export_stays(run):
    """One that training has put there while the scores were computed."""
    scored = saved_model.load(run.saved_model)
    _write(run)
    _export(run, epoch=2)
    before = (run.saved_model / "README.md").read_bytes()
    card_scores.renew_card(run, scored)
    assert (run.saved_model / "README.md").read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"data__synthetic": True},
        {"model__trained_on_synthetic": True},
        {"model__fingerprint": "of other weights"},
        # Of v2.0, whose test split holds patches of the training on v1.0.
        {"data__name": "bigearthnet_mm/v2/1.0.0"},
    ],
)
def test_scores_that_say_nothing_are_not_shown(run, changes):
    served = saved_model.read_description(run.saved_model)
    _write(run)
    assert len(card_scores.read(run, served)) == 1
    _write(run, **changes)
    assert card_scores.read(run, served) == []


def test_a_synthetic_model_has_no_scores(run):
    _export(run, trained_on_synthetic=True)
    _write(run)
    served = saved_model.load(run.saved_model)
    card_scores.renew_card(run, served)
    assert _card(run).data.eval_results is None
    assert "synthetic" in _card(run).data.tags


def test_damaged_scores_are_not_passed_over(run):
    served = saved_model.read_description(run.saved_model)
    run.metrics_file("test").write_text("{")
    with pytest.raises(errors.UserError, match="cannot be read"):
        card_scores.read(run, served)
