"""Published figures: what the cards print, and which one a run meets."""

import pytest

from ben_tf.evaluation import model_cards
from ben_tf.evaluation import paper
from ben_tf.evaluation import published
from ben_tf.evaluation import results


@pytest.mark.parametrize("source", published.SOURCES.values())
def test_every_entry_has_the_metrics_of_its_table(source):
    for entry in source.entries.values():
        assert set(source.metrics) <= set(entry.figures) <= {*results.OVERALL}
        assert all(0 < value < 1 for value in entry.figures.values())


def test_best_figures_of_the_cards():
    best = {
        metric: max(
            model_cards.CARDS, key=lambda card: model_cards.CARDS[card][metric]
        )
        for metric in model_cards.METRICS
    }
    assert best == {
        "macro_average_precision": "resnet50-all v0.2.0 (mohds52)",
        "micro_average_precision": "mobilevit_s-all v0.1.1",
        "macro_f1": "resnet50-all v0.2.0 (mohds52)",
        "micro_f1": "resnet50-all v0.2.0",
    }


def test_names_of_cards_hold_network_and_sensors():
    entries = published.SOURCES["v2"].entries
    found = {(entry.model, entry.modality) for entry in entries.values()}
    assert ("rdnet_base", "S2") in found
    assert ("resnet50", "S1") in found
    assert ("vit_base_patch8_224", "MM") in found


@pytest.mark.parametrize(
    ("source", "model", "modality", "expected"),
    [
        ("paper", "vgg16", "MM", "vgg16"),
        ("paper", "k_branch_cnn", "MM", "resnet50"),
        ("paper", "vgg19", "S2", "vgg19"),
        ("v2", "resnet50", "S1", "resnet50-s1 v0.2.0"),
        ("v2", "timm_resnet50", "S1", "resnet50-s1 v0.2.0"),
        ("v2", "small_cnn", "MM", "resnet50-all v0.2.0"),
        ("v2", "resnet50", "S2", "rdnet_base-s2 v0.2.0 (hackelle)"),
    ],
)
def test_the_model_that_a_run_is_held_against(
    source, model, modality, expected
):
    found = published.SOURCES[source].entry_for(model, modality)
    assert found == expected


def test_a_dataset_meets_the_figures_of_its_version():
    assert published.for_dataset("bigearthnet_mm/v1/1.0.0") == "paper"
    assert published.for_dataset("bigearthnet_mm/v2/1.0.0") == "v2"
    assert published.for_dataset("another") == "paper"


def test_all_of_table_2_is_there():
    assert set(published.SOURCES["paper"].entries) == set(paper.TABLE_2)
