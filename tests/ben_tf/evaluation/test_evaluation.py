"""Evaluation of a run, against TensorFlow Datasets and scikit-learn."""

import dataclasses
import json
import shutil

import huggingface_hub
import numpy as np
import pytest
import sklearn.metrics
import tensorflow_datasets as tfds

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.data import built_dataset
from ben_tf.evaluation import evaluation
from ben_tf.evaluation import predictions
from ben_tf.evaluation import results
from ben_tf.training import trainer
from tests import in_process

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workdir(workdir, tmp_path_factory):
    """A copy that evaluation may write to."""
    return shutil.copytree(
        workdir,
        tmp_path_factory.mktemp("evaluated") / "run",
        ignore=shutil.ignore_patterns("checkpoints"),
    )


@pytest.fixture(scope="module")
def result(workdir, data_dir):
    return evaluation.evaluate(
        workdir=workdir, data_dir=data_dir, batch_size=5, thresholds="tuned"
    )


@pytest.fixture(scope="module")
def predicted(result, workdir):
    return predictions.load(workdir / "predictions" / "test.npz")


def test_every_patch_of_the_split_has_its_own_labels(predicted, data_dir):
    dataset = tfds.load("bigearthnet_mm", data_dir=data_dir, split="test")
    expected = {
        example["patch_name"].decode(): example
        for example in tfds.as_numpy(dataset)
    }
    assert sorted(expected) == sorted(predicted.patch_name)
    for row, name in enumerate(predicted.patch_name):
        example = expected[name]
        np.testing.assert_array_equal(
            np.flatnonzero(predicted.labels[row]), sorted(example["labels_19"])
        )
        assert predicted.country[row] == example["country"]
        assert predicted.season[row] == example["season"]
        assert predicted.epsg[row] == example["epsg"]
        np.testing.assert_array_equal(
            predicted.upper_left[row], example["upper_left"]
        )


def test_scores_are_those_of_scikit_learn(result, predicted):
    hard = predicted.probabilities >= 0.5
    assert result.overall["sample_f2"] == pytest.approx(
        sklearn.metrics.fbeta_score(
            predicted.labels, hard, beta=2, average="samples", zero_division=0
        )
    )
    assert result.overall["hamming_loss"] == pytest.approx(
        sklearn.metrics.hamming_loss(predicted.labels, hard)
    )
    tuned = np.float32(result.tuned.thresholds)
    assert result.tuned.overall["micro_f1"] == pytest.approx(
        sklearn.metrics.f1_score(
            predicted.labels, predicted.probabilities >= tuned, average="micro"
        )
    )


def test_groups_add_up_to_the_split(result):
    for kind, groups in result.groups.items():
        sizes = [group.num_samples for group in groups.values()]
        assert sum(sizes) == result.num_samples, kind
        mean = np.average(
            [group.sample_f2 for group in groups.values()], weights=sizes
        )
        assert mean == pytest.approx(result.overall["sample_f2"])


def test_the_file_holds_the_result_as_strict_json(result, workdir):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = (workdir / "metrics" / "test.json").read_text()
    json.loads(text, parse_constant=refuse)
    read = results.Evaluation.read(workdir_lib.Workdir(workdir), "test")
    assert read == result
    # The tiny test split lacks some classes: undefined, never 0.
    num_positives = np.array(result.per_class["num_positives"])
    missing = np.flatnonzero(num_positives == 0)
    assert len(missing)
    assert all(result.per_class["recall"][i] is None for i in missing)
    assert result.undefined["macro_recall"] == len(missing)


def test_the_card_of_the_model_shows_the_scores(
    tiny_config, data_dir, tmp_path, monkeypatch
):
    """On real patches; here the sample passes for those."""
    monkeypatch.setattr(built_dataset, "is_synthetic", lambda _: False)
    config = dataclasses.replace(tiny_config, train_split="train[:16]")
    folder = trainer.train(config, tmp_path / "run")
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.eval_results is None
    scored = evaluation.evaluate(workdir=tmp_path / "run", data_dir=data_dir)
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    found = {x.metric_name: x.metric_value for x in card.data.eval_results}
    assert found["F1, micro"] == pytest.approx(
        scored.overall["micro_f1"], abs=1e-6
    )
    assert {x.dataset_split for x in card.data.eval_results} == {"test"}


def test_the_card_of_a_synthetic_model_shows_none(result, workdir):
    card = huggingface_hub.ModelCard.load(workdir / "saved_model" / "README.md")
    assert card.data.eval_results is None
    assert "Trained on SYNTHETIC data" in card.text
    assert result.model.fingerprint in card.text


def test_an_export_of_before_gets_a_card(workdir, data_dir):
    card = workdir / "saved_model" / "README.md"
    card.unlink()
    evaluation.evaluate(workdir=workdir, data_dir=data_dir, split="test[:5]")
    assert "Trained on SYNTHETIC data" in card.read_text()


def test_a_card_that_cannot_be_written_is_found_first(tmp_path):
    (tmp_path / "saved_model" / "README.md").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"README\.md"):
        evaluation.evaluate(workdir=tmp_path)


def test_batch_size_changes_nothing(result, predicted, workdir, data_dir):
    evaluation.evaluate(
        workdir=workdir, data_dir=data_dir, split="test[:5]", batch_size=3
    )
    part = predictions.load(workdir / "predictions" / "test_5.npz")
    assert len(part) == 5
    rows = [list(predicted.patch_name).index(name) for name in part.patch_name]
    np.testing.assert_allclose(
        part.probabilities, predicted.probabilities[rows], atol=1e-5
    )


def test_weights_that_are_no_longer_the_best_are_refused(
    workdir, data_dir, tmp_path
):
    resumed = workdir_lib.Workdir(tmp_path / "run")
    shutil.copytree(workdir, resumed.path)
    (first,) = resumed.read_history()
    later = first | {"epoch": "2", workdir_lib.MONITOR: "1.0"}
    resumed.write_history([first, later])
    scores = resumed.metrics_file("test")
    before = scores.read_bytes() if scores.exists() else None
    with pytest.raises(
        errors.UserError,
        match=r"saved_model are of the weights of epoch 1, its best .* epoch 2",
    ):
        evaluation.evaluate(workdir=resumed.path, data_dir=data_dir)
    assert (scores.read_bytes() if scores.exists() else None) == before


def test_scores_and_predictions_say_what_they_were_made_of(
    result, predicted, workdir, data_dir
):
    run = workdir_lib.Workdir(workdir)
    model = saved_model.load(run.saved_model)
    assert predicted.model == result.model.fingerprint == model.fingerprint
    # The run was trained on the same dataset.
    trained_on = run.read_data().fingerprint
    assert predicted.records == result.data.records == trained_on


def test_missing_things_are_named(tmp_path, workdir, data_dir):
    with pytest.raises(errors.UserError, match=r"No folder .* `workdir`"):
        evaluation.evaluate(workdir=tmp_path / "no", data_dir=data_dir)
    with pytest.raises(errors.UserError, match="No dataset found"):
        evaluation.evaluate(workdir=workdir, data_dir=tmp_path)
    with pytest.raises(errors.UserError, match="No SavedModel found"):
        evaluation.evaluate(workdir=tmp_path, data_dir=data_dir)
    with pytest.raises(errors.UserError, match="no patch in split"):
        evaluation.evaluate(workdir=workdir, data_dir=data_dir, split="tset")


def test_a_dataset_that_is_gone(tmp_path):
    run = workdir_lib.Workdir(tmp_path / "run")
    run.write_config(config_lib.Config(data_dir=str(tmp_path / "gone")))
    with pytest.raises(errors.UserError, match="is not where it was in train"):
        evaluation.evaluate(workdir=run.path)


def test_command_prints_the_tables_and_only_them(workdir, data_dir):
    # The dataset is that of the training.
    config = workdir_lib.Workdir(workdir).read_config()
    assert config.data_dir == str(data_dir)
    process = in_process.run(
        "ben_tf.evaluate", f"--workdir={workdir}", "--split=validation"
    )
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[0].startswith("small_cnn MM on validation")
    assert lines[-1] == f"Metrics and predictions are in {workdir}"
    # Progress bars, nothing else.
    for line in process.stderr.replace("\r", "\n").splitlines():
        assert not line.strip() or line.startswith("predict validation:")


def test_a_part_is_scored_by_itself(workdir, data_dir, predicted):
    split = "test[season!=Winter]"
    finished = in_process.run(
        "ben_tf.evaluate",
        f"--workdir={workdir}",
        f"--data_dir={data_dir}",
        f"--split={split}",
    )
    assert finished.returncode == 0, finished.stderr
    assert f"split {split} instead of test" in finished.stdout
    scored = predictions.load(
        workdir / "predictions" / "test_season_not_Winter.npz"
    )
    # Those of the whole split that are of other seasons, as they were.
    rows = np.flatnonzero(predicted.season != 0)
    assert 0 < len(rows) < len(predicted)
    for name, array in vars(scored).items():
        whole = getattr(predicted, name)
        if isinstance(whole, str):
            # Whose predictions of which records they are.
            assert array == whole
            continue
        whole = whole[rows]
        if name == "probabilities":
            np.testing.assert_allclose(array, whole, atol=1e-5)
        else:
            np.testing.assert_array_equal(array, whole)
    stored = results.Evaluation.read(workdir_lib.Workdir(workdir), split)
    assert stored.num_samples == len(rows)
    assert stored.split == split
