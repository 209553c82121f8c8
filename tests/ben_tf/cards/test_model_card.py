"""Hugging Face's own reader understands the card; it shows no bad scores."""

import huggingface_hub
import msgspec
import pytest

from ben_tf import bigearthnet
from ben_tf.cards import description
from ben_tf.cards import model_card

DESCRIPTION = description.Description(
    format=2,
    class_names=bigearthnet.CLASSES_19,
    modality="MM",
    input_names=("s1", "s2_10m", "s2_20m"),
    embedding_size=64,
    embeddings=("MM", "S1", "S2"),
    fingerprint="0123456789abcdef",
    model="small_cnn",
    trained_on_synthetic=False,
    trained_on=("bigearthnet_mm/v1/1.0.0",),
    epoch=3,
)


def _render(model=DESCRIPTION, *, model_format="onnx", scores=()):
    return model_card.render(
        model,
        num_parameters=157_539,
        scores=scores,
        model_format=model_format,
        path="model.onnx",
        input_dtype="float32" if model_format == "tflite" else None,
    )


def test_the_front_matter_is_read_by_hugging_face():
    card = huggingface_hub.ModelCard(_render())
    card.data.to_dict()
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "onnx"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.datasets == ["bigearthnet_mm"]
    assert {"sentinel-1", "sentinel-2"} < set(card.data.tags)
    assert "synthetic" not in card.data.tags
    assert card.data.eval_results is None
    assert "no evaluation of these weights" in card.text


def test_scores_are_read_by_hugging_face():
    scores = [
        model_card.Scores(
            data="bigearthnet_mm/v1/1.0.0",
            part=part,
            split=split,
            num_samples=12_345,
            threshold=0.5,
            metrics=[
                model_card.Metric("f1", "F1, micro", value),
                model_card.Metric("recall", "Recall, sample average", 1.0),
            ],
        )
        for split, part, value in (("test", "", 0.25), ("train", "x", 0.75))
    ]
    card = huggingface_hub.ModelCard(_render(scores=scores))
    assert [
        (x.dataset_split, x.metric_type, x.metric_name, x.metric_value)
        for x in card.data.eval_results
    ] == [
        ("test", "f1", "F1, micro", 0.25),
        ("test", "recall", "Recall, sample average", 1.0),
        ("train", "f1", "F1, micro", 0.75),
        ("train", "recall", "Recall, sample average", 1.0),
    ]
    for result in card.data.eval_results:
        assert result.dataset_type == "bigearthnet_mm"
        assert result.dataset_name == "bigearthnet_mm/v1/1.0.0"
    assert card.data.metrics == ["f1", "recall"]
    assert "| F1, micro | 0.2500 |" in card.text
    assert "12,345 patches" in card.text
    assert card.text.count("the part `x`") == 1


def test_synthetic_training_stands_at_the_top():
    synthetic = msgspec.structs.replace(DESCRIPTION, trained_on_synthetic=True)
    card = huggingface_hub.ModelCard(_render(synthetic))
    title, first = card.text.strip().split("\n\n")[:2]
    assert title.startswith("# small_cnn")
    assert first.startswith("> **Trained on SYNTHETIC data.**")
    assert card.data.datasets is None
    assert "synthetic" in card.data.tags
    assert card.data.eval_results is None
    assert "None: scores on synthetic data would say nothing" in card.text


def test_a_model_of_radar_alone_says_nothing_of_reflectance():
    radar = msgspec.structs.replace(
        DESCRIPTION, modality="S1", input_names=("s1",), embeddings=("S1",)
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
def test_how_to_use_it(model_format, words):
    text = _render(model_format=model_format)
    for word in words:
        assert word in text
    assert ("uint16" in text) == (model_format != "tflite")
    numbered = [f"{i}. {x}" for i, x in enumerate(bigearthnet.CLASSES_19)]
    assert "\n".join(numbered) in text
    assert DESCRIPTION.fingerprint in text


def test_names_of_strangers_mean_nothing():
    """They stay in their cell, as text, and out of the front matter."""
    evil = "x` |\n---\nlicense: mit\n\n<script>![a](b)"
    text = _render(msgspec.structs.replace(DESCRIPTION, trained_on=(evil,)))
    (line,) = (x for x in text.splitlines() if "trained on" in x)
    assert line == ("| trained on | `x' ' --- license: mit <script>![a](b)` |")
    assert huggingface_hub.ModelCard(text).data.license == "apache-2.0"
