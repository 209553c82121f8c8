"""A shared space lets one sensor find the other. The data are synthetic."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf import models
from ben_tf import saved_model
from ben_tf.evaluation import evaluation
from ben_tf.retrieval import index
from ben_tf.retrieval import index_builder
from ben_tf.retrieval import index_evaluation
from ben_tf.retrieval import index_writer
from ben_tf.retrieval import query
from ben_tf.training import trainer
from tfrecords_builder import signatures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(larger_data_dir, tmp_path_factory):
    """A model of one space for both sensors."""
    config = config_lib.Config(
        data_dir=str(larger_data_dir),
        model="small_cnn",
        fusion="shared",
        embedding_loss="n_pairs",
        batch_size=16,
        epochs=8,
        learning_rate=4e-3,
        schedule="cosine",
        augment=True,
        validation_split="validation[:40]",
        checkpoint_every_steps=0,
        jit_compile="off",
    )
    return trainer.train(config, tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    return saved_model.save(
        models.make_model("small_cnn", fusion="shared"),
        tmp_path_factory.mktemp("untrained") / "saved_model",
        preprocessing=models.preprocessing_of("small_cnn"),
        name="small_cnn",
        trained_on_synthetic=True,
    )


def _mean_average_precision(model, data_dir, folder, *, search="flat"):
    """mAP@10 of Sentinel-1 queries against Sentinel-2 patches."""
    for modality in ("S1", "S2"):
        index_builder.build_index(
            saved_model=model,
            data_dir=data_dir,
            output_dir=folder / modality,
            modality=modality,
            options=index_writer.IndexOptions(
                "cosine", search if modality == "S2" else "flat"
            ),
        )
    result = index_evaluation.evaluate(
        queries=folder / "S1", archive=folder / "S2", ks=(10,)
    )
    assert result.direction == "S1->S2"
    return result.scores["average_precision"]["10"]


def test_sensors_find_each_other(trained, untrained, larger_data_dir, tmp_path):
    ours = _mean_average_precision(trained, larger_data_dir, tmp_path / "a")
    # Patches of an untrained model come in an order without meaning: chance.
    chance = _mean_average_precision(untrained, larger_data_dir, tmp_path / "b")
    codes = _mean_average_precision(
        trained, larger_data_dir, tmp_path / "c", search="binary"
    )
    assert ours > chance + 0.2
    # 0.82 to 0.98 of it after runs that differ in nothing but their length.
    assert codes > chance + 0.2
    assert codes >= 0.75 * ours

    # One patch after the other, as people ask, answers what was scored.
    asked, archive = (
        index.Index.open(tmp_path / "c" / modality, saved_model=trained)
        for modality in ("S1", "S2")
    )
    names = list(archive.names[:3])
    expected = archive.search(
        asked.embeddings[asked.rows_of(names)],
        k=10,
        fingerprint=archive.manifest.fingerprint,
        modality="S1",
        exclude=names,
    )
    answer = query.query(
        archive,
        names=names,
        data_dir=larger_data_dir,
        modality="S1",
    )
    np.testing.assert_array_equal(answer.hits.distances, expected.distances)
    # The index holds S2: without `data_dir`, S1 is that of the training.
    answer = query.query(archive, names=names, modality="S1")
    np.testing.assert_array_equal(answer.hits.distances, expected.distances)


def test_classes_of_both_sensors_are_learned(trained, larger_data_dir):
    """By average precision; that of a class in random order is its share."""
    result = evaluation.evaluate(
        workdir=trained.parent, data_dir=larger_data_dir
    )
    learned = collections.defaultdict(list)
    for name, value, positives in zip(
        result.class_names,
        result.per_class["average_precision"],
        result.per_class["num_positives"],
        strict=True,
    ):
        share = positives / result.num_samples
        learned[signatures.sensors_of(name)].append(value - share)
    for sensors in ({"S1"}, {"S2"}, {"S1", "S2"}):
        assert np.mean(learned[frozenset(sensors)]) > 0.3


def test_each_sensor_is_embedded_alone(trained, larger_data_dir):
    served = saved_model.load(trained)
    assert served.embeddings == ("MM", "S1", "S2")
    assert served.inputs_of("S1") == ("s1",)
    assert served.embedding_size == 128
    with pytest.raises(ValueError, match="no embedding of S3"):
        served.inputs_of("S3")
