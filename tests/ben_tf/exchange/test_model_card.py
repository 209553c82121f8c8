"""Hugging Face's own reader understands the card; it shows no bad scores."""

import json
import pathlib

import huggingface_hub
import msgspec
import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.exchange import model_card
from tests.ben_tf.evaluation import test_results


def _render(served, evaluations=(), *, model_format="onnx"):
    return model_card.render(
        served,
        evaluations,
        model_format=model_format,
        path=pathlib.PurePath("model.onnx"),
    )


@pytest.fixture
def workdir(tmp_path) -> workdir_lib.Workdir:
    (tmp_path / "metrics").mkdir()
    return workdir_lib.Workdir(tmp_path)


def _write(workdir, served, split="test", **changes) -> None:
    content = msgspec.json.decode(json.dumps(test_results.CONTENT))
    content["split"] = split
    content["model"]["fingerprint"] = served.fingerprint
    for place, value in changes.items():
        first, _, second = place.partition("__")
        content[first][second] = value
    workdir.metrics_file(split).write_text(json.dumps(content))


def test_the_front_matter_is_read_by_hugging_face(served):
    card = huggingface_hub.ModelCard(_render(served))
    card.data.to_dict()
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "onnx"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.datasets == ["bigearthnet_mm"]
    assert {"sentinel-1", "sentinel-2"} < set(card.data.tags)
    assert "synthetic" not in card.data.tags
    assert card.data.eval_results is None
    assert "None yet: no evaluation of these weights" in card.text


def test_the_scores_are_those_of_the_evaluation(served, workdir):
    _write(workdir, served)
    _write(workdir, served, "validation", overall__micro_f1=0.25)
    evaluations = model_card.evaluations_of(workdir, served)
    card = huggingface_hub.ModelCard(_render(served, evaluations))
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
    assert found["test", "F1, micro"] == ("f1", 0.5)
    assert found["validation", "F1, micro"] == ("f1", 0.25)
    assert {x.dataset_type for x in card.data.eval_results} == {
        "bigearthnet_mm"
    }
    assert {x.dataset_name for x in card.data.eval_results} == {
        "bigearthnet_mm/v1/1.0.0"
    }
    assert "| F1, micro | 0.2500 |" in card.text
    assert set(card.data.metrics) == {
        *("f1", "f2", "recall", "hamming_loss", "one_error"),
        "average_precision",
    }


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
def test_scores_that_say_nothing_are_not_shown(served, workdir, changes):
    _write(workdir, served)
    assert len(model_card.evaluations_of(workdir, served)) == 1
    _write(workdir, served, **changes)
    assert model_card.evaluations_of(workdir, served) == []


def test_damaged_scores_are_not_passed_over(served, workdir):
    workdir.metrics_file("test").write_text("{")
    with pytest.raises(errors.UserError, match="cannot be read"):
        model_card.evaluations_of(workdir, served)


def test_synthetic_training_stands_at_the_top(served, workdir):
    _write(workdir, served)
    synthetic = msgspec.structs.replace(served, trained_on_synthetic=True)
    assert model_card.evaluations_of(workdir, synthetic) == []
    card = huggingface_hub.ModelCard(_render(synthetic))
    title, first = card.text.strip().split("\n\n")[:2]
    assert title.startswith("# small_cnn")
    assert first.startswith("> **Trained on SYNTHETIC data.**")
    assert card.data.datasets is None
    assert "synthetic" in card.data.tags
    assert card.data.eval_results is None
    assert "None: scores on synthetic data would say nothing" in card.text


def test_a_model_of_radar_alone_says_nothing_of_reflectance(served):
    radar = msgspec.structs.replace(
        served, modality="S1", input_names=("s1",), embeddings=("S1",)
    )
    card = huggingface_hub.ModelCard(_render(radar))
    assert "eflectance" not in card.text
    assert "sentinel-1" in card.data.tags
    assert "sentinel-2" not in card.data.tags


@pytest.mark.parametrize(
    ("model_format", "words"),
    [
        ("saved_model", ["`embed_s1`", "tf.saved_model.load", "uint16"]),
        ("onnx", ["`embedding_s1`", "onnxruntime", "uint16"]),
        ("tflite", ["`embedding_s1`", "tf.lite.Interpreter", "model.json"]),
    ],
)
def test_how_to_use_it(served, model_format, words):
    text = _render(served, model_format=model_format)
    for word in words:
        assert word in text
    assert ("uint16" in text) == (model_format != "tflite")
    numbered = [f"{i}. {x}" for i, x in enumerate(bigearthnet.CLASSES_19)]
    assert "\n".join(numbered) in text
    assert served.fingerprint in text


def test_names_of_strangers_mean_nothing(served):
    """They stay in their cell, as text, and out of the front matter."""
    evil = "x` |\n---\nlicense: mit\n\n<script>![a](b)"
    text = _render(msgspec.structs.replace(served, trained_on=(evil,)))
    (line,) = (x for x in text.splitlines() if "trained on" in x)
    assert line == ("| trained on | `x' ' --- license: mit <script>![a](b)` |")
    assert huggingface_hub.ModelCard(text).data.license == "apache-2.0"
