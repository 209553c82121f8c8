"""A run's scores next to the paper's, on the console."""

import msgspec
import pytest

from ben_tf import bigearthnet
from ben_tf.evaluation import comparison
from ben_tf.evaluation import published
from ben_tf.evaluation import results
from ben_tf.metrics import definitions

_PAPER = published.SOURCES["paper"]
_V2 = published.SOURCES["v2"]
_OVERALL = (
    *definitions.SAMPLE_METRICS,
    *(
        f"{average}_{score}"
        for average in ("macro", "micro")
        for score in (*definitions.COUNT_METRICS, "average_precision")
    ),
)


def _evaluation(num_classes=19, **fields) -> results.Evaluation:
    """Of synthetic patches; the first class never occurs."""
    overall = {name: 0.5 for name in _OVERALL}
    return results.Evaluation(
        **{
            "split": "test",
            "num_samples": 1234,
            "class_names": list(bigearthnet.CLASSES[num_classes]),
            "model": results.Model("k_branch_cnn", "MM", "ab", True),
            "data": results.Data("bigearthnet_mm/v1/1.0.0", True, {}, "cd"),
            "threshold": 0.5,
            "overall": overall,
            "per_class": {"f2": [None, *[0.75] * (num_classes - 1)]},
            "undefined": {"macro_recall": 1, "ranking_loss": 2},
            "intervals_95": results.Intervals(
                *[(0.4, 0.6)] * 9, [(None, None)] * num_classes
            ),
            "groups": {},
            "calibration": results.Calibration(0.125, [], [], []),
            "tuned": results.Tuned("validation", [], overall, {}, {}),
        }
        | fields
    )


def _by_the_papers_protocol() -> results.Evaluation:
    evaluation = _evaluation(num_samples=125_866)
    return msgspec.structs.replace(
        evaluation,
        data=msgspec.structs.replace(evaluation.data, synthetic=False),
        model=results.Model("resnet50", "MM", "ab", False),
    )


def test_parts_that_were_scored_or_trained_on_are_no_comparison():
    ours = _by_the_papers_protocol()
    assert not comparison.reasons(ours, _PAPER)
    part = "train[country!=Finland]"
    trained = msgspec.structs.replace(
        ours, model=msgspec.structs.replace(ours.model, trained_on_part=part)
    )
    assert comparison.reasons(trained, _PAPER) == [
        f"trained on a part of the data ({part})"
    ]
    scored = msgspec.structs.replace(ours, split="test[country!=Serbia]")
    assert comparison.reasons(scored, _PAPER) == [
        "split test[country!=Serbia] instead of test"
    ]


def test_text_says_that_the_scores_are_not_comparable():
    text = comparison.as_text(_evaluation(), published=_PAPER)
    title = text.splitlines()
    assert title[0] == "k_branch_cnn MM on test, 1,234 patches"
    assert "SYNTHETIC DATA" in title[1]
    assert "NOT COMPARABLE with the paper: synthetic data" in title[2]
    for name in (*bigearthnet.CLASSES_19[:5], "resnet152", "undefined"):
        assert name in text
    # Table II, ResNet50, F2; Table I, the second class. No differences.
    assert "0.7873" in text
    assert "0.4321" in text
    assert "0.7873 (" not in text
    assert "0.4321 (" not in text
    assert "0.4000-0.6000" in text
    assert "thresholds tuned on validation" in text
    assert "macro_recall leaves out 1 classes" in text
    assert "ranking_loss leaves out 2 patches" in text
    plain = comparison.as_text(_evaluation(), published=None)
    assert "resnet" not in plain
    assert "SYNTHETIC DATA" in plain


def test_43_classes_are_not_set_against_table_1():
    text = comparison.as_text(_evaluation(43), published=_PAPER)
    assert "43 classes instead of 19" in text
    assert "0.4321" not in text


@pytest.mark.parametrize("num_classes", [19, 43])
def test_text_is_no_wider_than_a_console(num_classes):
    for theirs in (_PAPER, _V2, None):
        text = comparison.as_text(_evaluation(num_classes), published=theirs)
        tables = text.splitlines()[3:]
        assert max(map(len, tables)) <= (112 if theirs else 92)


def test_a_run_by_the_papers_protocol_is_called_comparable():
    real = _by_the_papers_protocol()
    assert comparison.reasons(real, _PAPER) == []
    assert "Comparable with Sumbul" in comparison.as_text(
        real, published=_PAPER
    )
    text = comparison.as_text(real, published=_PAPER)
    assert "0.7873 (-0.2873)" in text
    assert "0.4321 (+0.3179)" in text
    rows = {row.name: row for row in comparison.headline_rows(real, _PAPER)}
    assert rows["one_error"].difference == pytest.approx(0.5 - 0.0593)
    assert rows["macro_f2"].published == 0.6723
    assert rows["micro_f1"].published is None


@pytest.mark.parametrize(
    ("field", "changes", "reason"),
    [
        ("data", {"synthetic": True}, "synthetic data"),
        (
            "data",
            {"name": "bigearthnet_mm/v2/1.0.0"},
            "dataset v2 instead of v1",
        ),
        ("model", {"trained_on_synthetic": True}, "trained on synthetic data"),
        ("model", {"modality": "S2"}, "S2 instead of S1 and S2"),
        (None, {"split": "validation"}, "split validation instead of test"),
        (None, {"num_samples": 100}, "100 patches instead of 125,866"),
        (
            None,
            {"class_names": list(bigearthnet.CLASSES_43)},
            "43 classes instead of 19",
        ),
    ],
)
def test_every_difference_from_the_papers_protocol_is_named(
    field, changes, reason
):
    real = _by_the_papers_protocol()
    if field:
        part = msgspec.structs.replace(getattr(real, field), **changes)
        changes = {field: part}
    changed = msgspec.structs.replace(real, **changes)
    assert comparison.reasons(changed, _PAPER) == [reason]


def test_a_part_of_the_archive_is_named_where_it_has_fewer_patches():
    real = _by_the_papers_protocol()
    data = msgspec.structs.replace(real.data, part="countries Finland")
    # One whose test split is whole compares.
    real = msgspec.structs.replace(real, data=data)
    assert comparison.reasons(real, _PAPER) == []
    real = msgspec.structs.replace(real, num_samples=100)
    assert comparison.reasons(real, _PAPER) == [
        "100 patches instead of 125,866, of a part of v1 (countries Finland)"
    ]


def _by_the_protocol_of_v2(modality="MM") -> results.Evaluation:
    evaluation = _evaluation(num_samples=119_825)
    return msgspec.structs.replace(
        evaluation,
        data=results.Data("bigearthnet_mm/v2/1.0.0", False, {}, "cd"),
        model=results.Model("resnet50", modality, "ab", False),
    )


def test_the_version_of_the_dataset_chooses_whose_figures():
    assert comparison.published_for(_evaluation()) is _PAPER
    assert comparison.published_for(_by_the_protocol_of_v2()) is _V2


def test_v2_stands_next_to_the_cards_of_its_sensors():
    for modality, card, figure in (
        ("MM", "resnet50-all v0.2.0", "0.7033 (-0.2033)"),
        ("S1", "resnet50-s1 v0.2.0", "0.6284 (-0.1284)"),
        ("S2", "rdnet_base-s2 v0.2.0 (hackelle)", "0.6887 (-0.1887)"),
    ):
        real = _by_the_protocol_of_v2(modality)
        assert comparison.reasons(real, _V2) == []
        assert comparison.published_model(real, _V2) == card
        lines = comparison.as_text(real, published=_V2).splitlines()
        assert lines[1].startswith("Comparable with cards")
        line = next(x for x in lines if x.startswith(f"{card} "))
        assert figure in line
        # No difference from models of other sensors.
        other = "resnet50-all" if modality == "S1" else "resnet50-s1"
        line = next(x for x in lines if x.startswith(other))
        assert "(" not in line.removeprefix(f"{other} v0.2.0 (mohds52)")
        # No class is published, so that Table I is not shown.
        assert "0.4321" not in "".join(lines)


def test_v2_and_v1_are_not_set_against_each_other():
    v1, v2 = _by_the_papers_protocol(), _by_the_protocol_of_v2()
    assert comparison.reasons(v1, _V2) == [
        "dataset v1 instead of v2",
        "125,866 patches instead of 119,825",
    ]
    assert "dataset v2 instead of v1" in comparison.reasons(v2, _PAPER)
    for evaluation, theirs in ((v1, _V2), (v2, _PAPER)):
        rows = comparison.headline_rows(evaluation, theirs)
        assert any(row.published for row in rows)
        assert all(row.difference is None for row in rows)


def test_training_patches_of_the_other_version_are_named():
    seen = msgspec.structs.replace(
        _by_the_protocol_of_v2(),
        model=results.Model(
            *("resnet50", "MM", "ab", False), "bigearthnet_mm/v1/1.0.0"
        ),
    )
    assert comparison.reasons(seen, _V2) == [
        "trained on v1, with up to 60,886 of these patches"
    ]


def test_nothing_is_published_of_own_data():
    ours = msgspec.structs.replace(
        _by_the_papers_protocol(),
        data=results.Data("bigearthnet_mm/own/1.0.0", False, {}, "cd"),
    )
    nothing = comparison.published_for(ours)
    assert comparison.reasons(ours, nothing) == ["own data"]
    assert "dataset own instead of v1" in comparison.reasons(ours, _PAPER)
    rows = comparison.headline_rows(ours, nothing)
    assert all(row.ours is not None and row.published is None for row in rows)
    text = comparison.as_text(ours, published=nothing)
    assert text == comparison.as_text(ours, published=None)
    assert "0.7873" not in text


def test_a_model_of_own_data_is_no_comparison():
    ours = _by_the_papers_protocol()
    model = msgspec.structs.replace(
        ours.model, trained_on="bigearthnet_mm/own/1.0.0"
    )
    ours = msgspec.structs.replace(ours, model=model)
    assert comparison.reasons(ours, _PAPER) == ["trained on own data"]
