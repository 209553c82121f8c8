"""What the tables of a report say."""

import msgspec

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
    facts = tables.facts(msgspec.convert(content, results.Evaluation), {}, None)
    assert facts["trained on"] == (
        "bigearthnet_mm/v2/1.0.0, a part: seasons Summer, "
        "bigearthnet_mm/v1/1.0.0"
    )
    assert facts["dataset"] == (
        "bigearthnet_mm/v1/1.0.0, a part: countries Finland"
    )
    before = msgspec.convert(test_results.CONTENT, results.Evaluation)
    assert tables.facts(before, {}, None)["trained on"] == "unknown"
