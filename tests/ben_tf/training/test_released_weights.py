"""A released checkpoint becomes a workdir like any other."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import saved_model
from ben_tf import workdir as workdir_lib
from ben_tf.evaluation import evaluation
from ben_tf.training import exports
from ben_tf.training import released_weights
from ben_tf.training import trainer
from tests.ben_tf.training import slim_networks


def _as_the_authors_feed_it(raw: dict[str, np.ndarray]) -> np.ndarray:
    """(B, 120, 120, 12) as main_model.py makes it, VH read from VV."""

    def standardised(grid, band, statistics=None):
        values = raw[grid][..., bigearthnet.GRIDS[grid].bands.index(band)]
        statistics = statistics or band
        return (
            values.astype(np.float64)
            - bigearthnet.PAPER_STATISTICS.mean[statistics]
        ) / bigearthnet.PAPER_STATISTICS.std[statistics]

    fine = [standardised("s2_10m", x) for x in ("B04", "B03", "B02", "B08")]
    coarse = [
        standardised("s2_20m", x) for x in bigearthnet.GRIDS["s2_20m"].bands
    ]
    radar = [standardised("s1", "VV"), standardised("s1", "VV", "VH")]
    upsampled = tf.compat.v1.image.resize_bicubic(
        np.stack(coarse, axis=-1).astype(np.float32), (120, 120)
    )
    return np.concatenate(
        [np.stack(fine, -1), upsampled, np.stack(radar, -1)], axis=-1
    ).astype(np.float32)


@pytest.fixture(scope="module")
def raw() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        name: random.uniform(
            *bounds, (2, *bigearthnet.GRIDS[name].shape)
        ).astype(bigearthnet.GRIDS[name].dtype)
        for name, bounds in {
            "s1": (-30, 0),
            "s2_10m": (0, 4000),
            "s2_20m": (0, 4000),
        }.items()
    }


@pytest.fixture(autouse=True)
def small():
    with slim_networks.small():
        yield


@pytest.mark.slow
def test_from_their_checkpoint_to_our_scores(raw, data_dir, tmp_path):
    logits = slim_networks.save(
        tmp_path / "iteration-7",
        "resnet50",
        _as_the_authors_feed_it(raw),
        num_classes=19,
    )
    workdir = tmp_path / "run"
    path = released_weights.import_checkpoint(
        checkpoint=tmp_path / "iteration-7.index",
        workdir=workdir,
        model="resnet50",
        modality="MM",
        duplicate_vv=True,
    )
    served = saved_model.load(path)
    assert served.trained_on[0] in (path / "README.md").read_text()
    np.testing.assert_allclose(
        served.serve(raw), tf.math.sigmoid(logits), atol=1e-4
    )
    assert not served.trained_on_synthetic
    assert workdir_lib.Workdir(workdir).read_config().duplicate_vv
    assert (
        "iteration-7" in json.loads((workdir / "data.json").read_text())["name"]
    )
    result = evaluation.evaluate(
        workdir=str(workdir), data_dir=str(data_dir), split="test[:3]"
    )
    assert result.model.fingerprint == served.fingerprint
    # Exporting again goes the way of every workdir.
    assert saved_model.load(exports.export_best(workdir)).fingerprint == (
        served.fingerprint
    )
    # Training would overwrite what was imported.
    config = dataclasses.replace(
        workdir_lib.Workdir(workdir).read_config(),
        data_dir=str(data_dir),
        batch_size=500,
    )
    with pytest.raises(errors.UserError, match="imported weights"):
        trainer.train(config, workdir)


def test_a_workdir_in_use_is_left_alone(tmp_path):
    (tmp_path / "history.csv").write_text("")
    with pytest.raises(errors.UserError, match="is in use"):
        released_weights.import_checkpoint(
            checkpoint="nowhere",
            workdir=tmp_path,
            model="resnet50",
            modality="MM",
        )


def test_nothing_is_written_for_a_bad_checkpoint(tmp_path):
    with pytest.raises(errors.UserError, match="No checkpoint found"):
        released_weights.import_checkpoint(
            checkpoint=tmp_path / "nowhere",
            workdir=tmp_path / "run",
            model="vgg16",
            modality="S2",
        )
    assert not (tmp_path / "run").exists()


def test_sentinel_2_has_no_vv_to_duplicate(tmp_path):
    with pytest.raises(errors.UserError, match="`duplicate_vv`"):
        released_weights.import_checkpoint(
            checkpoint="nowhere",
            workdir=tmp_path / "run",
            model="resnet50",
            modality="S2",
            duplicate_vv=True,
        )
