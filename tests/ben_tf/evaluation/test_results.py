"""metrics/<split>.json: the same bytes read and written, damage is named."""

import json

import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import comparison
from ben_tf.evaluation import results
from tests import json_files

_GROUP = {
    "num_samples": 3,
    "sample_recall": 0.5,
    "sample_f2": 0.25,
    "hamming_loss": 0.125,
    "one_error": 0.0,
    "macro_f1": None,
    "macro_f2": None,
    "micro_f1": 1.0,
}
_OVERALL = {
    "sample_f2": 0.5,
    "sample_recall": 0.5,
    "hamming_loss": 0.5,
    "one_error": 0.5,
    "coverage": 3.5,
    "macro_recall": None,
    "macro_f2": None,
    "macro_f1": None,
    "micro_f1": 0.5,
    "macro_average_precision": None,
    "micro_average_precision": 0.5,
}
_PER_CLASS = {
    "precision": [None] * 19,
    "recall": [1.0, None] + [0.5] * 17,
    "f1": [0.5] * 19,
    "f2": [0.5] * 19,
    "average_precision": [None] * 19,
    "num_positives": [3.0] + [0.0] * 18,
}
_METRICS = {"overall": _OVERALL, "per_class": _PER_CLASS}
_METRICS |= {"undefined": {"macro_recall": 1}}
# As version 1.0 wrote it, key by key.
CONTENT = {
    "split": "test[:3]",
    "num_samples": 3,
    "class_names": list(bigearthnet.CLASSES_19),
    "model": {
        "name": "resnet50",
        "modality": "S2",
        "fingerprint": "ab",
        "trained_on_synthetic": False,
    },
    "data": {
        "name": "bigearthnet_mm/v1/1.0.0",
        "synthetic": False,
        "split_sizes": {"train": 8, "test": 4},
        "fingerprint": "cd",
    },
    "threshold": 0.5,
    **_METRICS,
    "intervals_95": {
        "sample_recall": [0.1, 0.2],
        "sample_f1": [0.1, 0.2],
        "sample_f2": [0.1, 0.2],
        "hamming_loss": [0.1, 0.2],
        "one_error": [0.1, 0.2],
        "macro_f1": [None, None],
        "macro_f2": [0.1, 0.2],
        "micro_f1": [0.1, 0.2],
        "micro_f2": [0.1, 0.2],
        "per_class_f2": [[0.1, 0.2]] * 18 + [[None, None]],
    },
    "groups": {"country": {"Austria": _GROUP}},
    "calibration": {
        "expected_calibration_error": 0.25,
        "mean_probability": [0.1, None],
        "fraction_present": [0.2, None],
        "num_pairs": [6, 0],
    },
}
TUNED = {"chosen_on": "validation", "thresholds": [0.25] * 19, **_METRICS}


@pytest.fixture
def workdir(tmp_path) -> workdir_lib.Workdir:
    (tmp_path / "metrics").mkdir()
    return workdir_lib.Workdir(tmp_path)


@pytest.mark.parametrize("content", [CONTENT, CONTENT | {"tuned": TUNED}])
def test_what_was_written_before_is_read_and_written_alike(workdir, content):
    path = workdir.metrics_file("test[:3]")
    path.write_text(json.dumps(content))
    evaluation = results.Evaluation.read(workdir, "test[:3]")
    assert evaluation.per_class["recall"] == [1, None] + [0.5] * 17
    assert evaluation.groups["country"]["Austria"].num_samples == 3
    path.unlink()
    evaluation.write(workdir)
    assert json_files.read(path) == content


@pytest.mark.parametrize("scored_on", [True, False])
@pytest.mark.parametrize("trained_on", [True, False])
def test_synthetic_patches_in_either_place_count(
    workdir, scored_on, trained_on
):
    content = CONTENT | {
        "split": "test",
        "model": CONTENT["model"] | {"trained_on_synthetic": trained_on},
        "data": CONTENT["data"] | {"synthetic": scored_on},
    }
    workdir.metrics_file("test").write_text(json.dumps(content))
    evaluation = results.Evaluation.read(workdir, "test")
    assert evaluation.is_synthetic == (scored_on or trained_on)


def _without(values, name):
    return {key: value for key, value in values.items() if key != name}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        *(
            json.dumps(CONTENT | {"split": "test"} | change)
            for change in (
                {"overall": "good"},
                {"overall": {**_OVERALL, "sample_f2": "good"}},
                *({"overall": _without(_OVERALL, x)} for x in results.OVERALL),
                *(
                    {"per_class": _without(_PER_CLASS, x)}
                    for x in results.PER_CLASS
                ),
                {"per_class": {**_PER_CLASS, "f2": [0.5] * 18}},
                {"class_names": ["a"] * 19},
                {"class_names": list(bigearthnet.CLASSES_43)},
                {"num_samples": -1},
                {"num_samples": 10**40},
                {"model": CONTENT["model"] | {"modality": "S3"}},
                {"threshold": 2},
                {"split": 1},
                {
                    "intervals_95": CONTENT["intervals_95"]
                    | {"per_class_f2": [[0.1, 0.2]]}
                },
                {"calibration": CONTENT["calibration"] | {"num_pairs": [6]}},
                {"tuned": TUNED | {"thresholds": [0.5]}},
                {"tuned": TUNED | {"overall": _without(_OVERALL, "coverage")}},
            )
        ),
    ],
)
def test_damage_is_named_with_its_remedy(workdir, content):
    workdir.metrics_file("test").write_text(content)
    with pytest.raises(
        errors.UserError,
        match=r"test\.json (cannot be read|is damaged): .*evaluate .*=test",
    ):
        results.Evaluation.read(workdir, "test")


def test_a_run_that_was_not_evaluated(workdir):
    with pytest.raises(errors.UserError, match=r"No file .*--split=train"):
        results.Evaluation.read(workdir, "train")


def test_scores_of_another_split_are_not_shown_as_those_of_this_one(workdir):
    content = json.dumps(CONTENT | {"split": "train"})
    workdir.metrics_file("test").write_text(content)
    with pytest.raises(errors.UserError, match=r"another split: 'train'"):
        results.Evaluation.read(workdir, "test")


def test_all_that_tables_look_up_is_checked():
    assert set(comparison.HEADLINES) <= {*results.OVERALL}
