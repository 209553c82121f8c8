"""What a report calls metrics, options and their choices."""

import dataclasses

import pytest

from ben_tf import config
from ben_tf.evaluation import comparison
from ben_tf.report import names


@pytest.mark.parametrize("name", comparison.HEADLINES)
def test_headline_metrics_have_one_name(name):
    assert names.metric(name) == comparison.HEADLINES[name]


def test_metrics():
    assert names.metric("macro_f0_5") == "F0.5, macro"
    assert names.metric("sample_precision") == "Precision, sample average"
    assert names.metric("coverage") == "Coverage"
    assert names.metric("") == ""


@pytest.mark.parametrize(
    "field", dataclasses.fields(config.Config), ids=lambda field: field.name
)
def test_options_and_their_choices_are_words(field):
    assert "_" not in names.option(field.name)
    for choice in field.metadata["choices"] or ():
        # Names of networks are identifiers everywhere.
        if not str(choice).startswith("timm_"):
            assert "_" not in names.choice(str(choice))


def test_what_nobody_named_stays():
    assert names.choice("/data/my_folder") == "/data/my_folder"
    assert names.option("new_option") == "New option"
