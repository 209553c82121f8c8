"""Training patches of one version of BigEarthNet in the splits of the other."""

import shutil

import msgspec
import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.data import leakage
from ben_tf.evaluation import comparison
from ben_tf.evaluation import evaluation
from ben_tf.evaluation import results


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("bigearthnet_mm/v1/1.0.0", "v1"),
        ("bigearthnet_mm/v2/1.0.0", "v2"),
        ("bigearthnet (imported: K-Branch_CNN)", "v1"),
    ],
)
def test_versions_are_in_the_names_of_datasets(name, version):
    assert leakage.version_of(name) == version


@pytest.mark.parametrize(
    ("trained_on", "scored_on", "split", "number"),
    [
        ("v1", "v2", "test", 60_886),
        ("v1", "v2", "test[:10%]", 60_886),
        ("v1", "v2", "validation", 62_089),
        ("v1", "v2", "test+validation[5:]", 60_886 + 62_089),
        ("v1", "v2", "all", 125_699 + 62_089 + 60_886),
        ("v1", "v2", "excluded", 0),
        ("v1", "v2", "excluded[label!=Pastures & season=Summer]", 0),
        ("v1", "v2", "test[country=Finland]", 60_886),
        ("v2", "v1", "test", 56_532),
        ("v1", "v1", "test", 0),
        ("v2", "v2", "train", 0),
    ],
)
def test_patches_in_common(trained_on, scored_on, split, number):
    assert leakage.num_shared(trained_on, scored_on, split) == number


def test_numbers_add_up_to_the_splits():
    """All but the dropped patches of a split of v1.0 are somewhere in v2.0."""
    of_v1 = bigearthnet.SHARED_PATCHES["v1", "v2"]
    of_v2 = bigearthnet.SHARED_PATCHES["v2", "v1"]
    assert sum(of_v1.values()) <= bigearthnet.SPLIT_SIZES["train"]
    # No training patch of v2.0 was dropped or excluded in v1.0.
    assert sum(of_v2.values()) == bigearthnet.V2_SPLIT_SIZES["train"]
    assert of_v1["train"] == of_v2["train"]


def test_another_version_is_scored_only_if_asked(
    workdir, v2_data_dir, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    with pytest.raises(
        errors.UserError, match=r"on v1 .* up to 60,886 .* `allow_leakage`"
    ):
        evaluation.evaluate(workdir=run, data_dir=v2_data_dir)
    assert not (run / "metrics").exists()
    scored = evaluation.evaluate(
        workdir=run, data_dir=v2_data_dir, allow_leakage=True
    )
    assert scored.model.trained_on == "bigearthnet_mm/v1/1.0.0"
    assert (
        "trained on v1, with up to 60,886 of these patches"
        in comparison.reasons(scored, comparison.published_for(scored))
    )
    evaluation.evaluate(workdir=run, data_dir=v2_data_dir, split="excluded")
    with pytest.raises(errors.UserError, match="62,089"):
        evaluation.evaluate(
            workdir=run,
            data_dir=v2_data_dir,
            split="excluded",
            thresholds="tuned",
        )


def test_scores_of_before_do_not_say_what_the_model_was_trained_on():
    model = results.Model("resnet50", "MM", "ab", trained_on_synthetic=False)
    assert model.trained_on == ""


def test_what_initial_weights_saw_counts_as_well(
    workdir, v2_data_dir, tmp_path
):
    """A run on v2 that began with weights of v1."""
    copy = tmp_path / "run"
    shutil.copytree(workdir, copy)
    run = workdir_lib.Workdir(copy)
    of_v1 = run.read_data()
    of_v2 = msgspec.structs.replace(of_v1, name="bigearthnet_mm/v2/1.0.0")
    run.data_file.unlink()
    run.write_data(of_v2.after([of_v1]))
    with pytest.raises(errors.UserError, match=r"trained on v1 .* 60,886"):
        evaluation.evaluate(workdir=copy, data_dir=v2_data_dir)
    scored = evaluation.evaluate(
        workdir=copy, data_dir=v2_data_dir, allow_leakage=True
    )
    assert scored.model.origins == ("bigearthnet_mm/v1/1.0.0",)
    assert (
        "trained on v1, with up to 60,886 of these patches"
        in comparison.reasons(scored, comparison.published_for(scored))
    )
