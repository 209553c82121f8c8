"""What the tables of a report say."""

import dataclasses

import msgspec

from ben_tf import bigearthnet
from ben_tf import config
from ben_tf.evaluation import results
from ben_tf.report import tables
from tests.ben_tf.evaluation import test_results


def test_facts_say_which_part_was_trained_on_and_scored():
    content = test_results.CONTENT | {
        "model": test_results.CONTENT["model"]
        | {
            "trained_on": "bigearthnet_mm/v2/1.0.0",
            "trained_on_part": "seasons Summer",
            "origins": ["bigearthnet_mm/v1/1.0.0"],
        },
        "data": test_results.CONTENT["data"] | {"part": "countries Finland"},
    }
    facts = tables.facts(msgspec.convert(content, results.Evaluation), None)
    assert facts["Trained on"] == (
        "bigearthnet_mm/v2/1.0.0, a part: seasons Summer, "
        "bigearthnet_mm/v1/1.0.0"
    )
    assert facts["Dataset"] == (
        "bigearthnet_mm/v1/1.0.0, a part: countries Finland"
    )
    before = msgspec.convert(test_results.CONTENT, results.Evaluation)
    assert tables.facts(before, None)["Trained on"] == "unknown"


def _options(**changes) -> dict[str, tables.Option]:
    """The options of a run as they come back from its config.json."""
    content = msgspec.json.encode(config.Config(**changes))
    listed = tables.options(msgspec.json.decode(content))
    return {option.flag.partition("=")[0]: option for option in listed}


def test_options_off_their_defaults_are_told_apart():
    options = _options(learning_rate=0.004, augment=True, loss="focal")
    changed = [o for o in options.values() if not o.is_default]
    assert changed == [
        tables.Option("Loss", "focal", "--loss=focal", False),
        tables.Option("Learning rate", "0.004", "--learning_rate=0.004", False),
        tables.Option("Augment", "true", "--augment=true", False),
    ]
    assert all(option.is_default for option in _options().values())
    loss = _options()["--loss"]
    assert loss.value == "sigmoid cross-entropy"
    assert loss.flag == "--loss=sigmoid_cross_entropy"
    assert _options()["--statistics"].value == "paper"


def test_statistics_of_a_file_are_no_default():
    paper = bigearthnet.PAPER_STATISTICS
    own = dataclasses.replace(paper, name="mine")
    assert _options(statistics=own)["--statistics"] == tables.Option(
        "Statistics", "mine", "--statistics=mine", False
    )


def test_options_of_anybody_are_shown():
    (option,) = tables.options({"nobody's": [1, {"a": None}]})
    assert option.value == '[1, {"a": null}]'
    assert not option.is_default
