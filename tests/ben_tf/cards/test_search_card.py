"""Hugging Face's own reader understands the card of a search model."""

import huggingface_hub
import pytest

from ben_tf.cards import search_card
from tests.ben_tf.cards import test_model_card


def _card(modality="MM", inputs=("s1", "s2_10m"), **changes):
    indexed = search_card.Indexed(
        **{
            "num_patches": 125_866,
            "dataset": "bigearthnet_mm/v1/1.0.0",
            "splits": ("train", "test"),
            "distance": "cosine",
            "synthetic": False,
            **changes,
        }
    )
    return huggingface_hub.ModelCard(
        search_card.render(
            test_model_card.DESCRIPTION,
            indexed,
            modality=modality,
            input_names=inputs,
        )
    )


def test_what_is_searched_is_said():
    card = _card()
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "tensorflow"
    assert card.data.datasets == ["bigearthnet_mm"]
    assert {"sentinel-1", "sentinel-2"} < set(card.data.tags)
    for words in (
        "| patches | 125,866 |",
        "`bigearthnet_mm/v1/1.0.0`, split `train`, `test`",
        "| distance | `cosine`, exact |",
        test_model_card.DESCRIPTION.fingerprint,
        "| `s1` | VV, VH |",
    ):
        assert words in card.text
    assert "SYNTHETIC" not in card.text


def test_synthetic_patches_stand_at_the_top():
    card = _card(synthetic=True)
    title, first = card.text.strip().split("\n\n")[:2]
    assert title.startswith("# Patches like a patch")
    assert first.startswith("> **Made of SYNTHETIC data.**")
    assert card.data.datasets is None
    assert "synthetic" in card.data.tags


@pytest.mark.parametrize(("modality", "name"), [("S1", "s1"), ("S2", "s2_10m")])
def test_one_sensor_of_two(modality, name):
    card = _card(modality, (name,))
    assert ("`s1`" in card.text) == (modality == "S1")
    assert ("sentinel-2" in card.data.tags) == (modality == "S2")


def test_an_index_of_before_names_no_dataset():
    assert "| from | unknown, split" in _card(dataset="").text
