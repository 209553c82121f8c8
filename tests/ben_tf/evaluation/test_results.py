"""metrics/<split>.json: the same bytes read and written, damage is named."""

import json

import pytest

from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import results

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
_METRICS = {"overall": {"sample_f2": 0.5, "macro_recall": None}}
_METRICS |= {"per_class": {"recall": [1.0, None], "num_positives": [3.0, 0.0]}}
_METRICS |= {"undefined": {"macro_recall": 1}}
# As version 1.0 wrote it, key by key.
CONTENT = {
    "split": "test[:3]",
    "num_samples": 3,
    "class_names": ["a", "b"],
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
        "per_class_f2": [[0.1, 0.2], [None, None]],
    },
    "groups": {"country": {"Austria": _GROUP}},
    "calibration": {
        "expected_calibration_error": 0.25,
        "mean_probability": [0.1, None],
        "fraction_present": [0.2, None],
        "num_pairs": [6, 0],
    },
}
TUNED = {"chosen_on": "validation", "thresholds": [0.25, 0.5], **_METRICS}


@pytest.fixture
def workdir(tmp_path) -> workdir_lib.Workdir:
    (tmp_path / "metrics").mkdir()
    return workdir_lib.Workdir(tmp_path)


@pytest.mark.parametrize("content", [CONTENT, CONTENT | {"tuned": TUNED}])
def test_what_was_written_before_is_read_and_written_alike(workdir, content):
    path = workdir.metrics_file("test[:3]")
    path.write_text(json.dumps(content))
    evaluation = results.Evaluation.read(workdir, "test[:3]")
    assert evaluation.per_class["recall"] == [1, None]
    assert evaluation.groups["country"]["Austria"].num_samples == 3
    path.unlink()
    evaluation.write(workdir)
    assert path.read_text() == json.dumps(content, indent=2) + "\n"


@pytest.mark.parametrize("scored_on", [True, False])
@pytest.mark.parametrize("trained_on", [True, False])
def test_synthetic_patches_in_either_place_count(
    workdir, scored_on, trained_on
):
    content = CONTENT | {
        "model": CONTENT["model"] | {"trained_on_synthetic": trained_on},
        "data": CONTENT["data"] | {"synthetic": scored_on},
    }
    workdir.metrics_file("test").write_text(json.dumps(content))
    evaluation = results.Evaluation.read(workdir, "test")
    assert evaluation.is_synthetic == (scored_on or trained_on)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", json.dumps(CONTENT | {"overall": "good"})]
)
def test_damage_is_named_with_its_remedy(workdir, content):
    workdir.metrics_file("test").write_text(content)
    with pytest.raises(
        errors.UserError,
        match=r"test\.json cannot be read: .*ben_tf\.evaluate .*--split=test",
    ):
        results.Evaluation.read(workdir, "test")


def test_a_run_that_was_not_evaluated(workdir):
    with pytest.raises(errors.UserError, match=r"No file .*--split=train"):
        results.Evaluation.read(workdir, "train")
