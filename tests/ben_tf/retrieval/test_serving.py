import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf.retrieval import distances
from ben_tf.retrieval import exact_search
from ben_tf.retrieval import index
from ben_tf.retrieval import serving


def archive(num_rows, size=24):
    generator = np.random.default_rng(0)
    names = np.array([f"patch_{number:05d}" for number in range(num_rows)])
    embeddings = generator.standard_normal((num_rows, size), np.float32)
    return np.maximum(embeddings, 0), names


@pytest.mark.slow
@pytest.mark.parametrize("distance", distances.DISTANCES)
@pytest.mark.parametrize("num_rows", [1, 100, 1500])
def test_agrees_with_exact_search(distance, num_rows, monkeypatch):
    # Small blocks, so that several, and an incomplete last one, are merged.
    monkeypatch.setattr(serving, "_MATMUL_BLOCK_BYTES", 400 * 24 * 4)
    monkeypatch.setattr(serving, "_CHI_SQUARE_BLOCK_BYTES", 400 * 24 * 4)
    embeddings, names = archive(num_rows)
    queries = archive(7)[0] + np.float32(0.1)
    retriever = serving.Retriever(embeddings, names, distance=distance)
    # Many ks, one function.
    for k in (1, 10, 50):
        found, rows = exact_search.nearest(distance, queries, embeddings, k=k)
        answer = retriever.search(tf.constant(queries), tf.constant(k))
        np.testing.assert_allclose(
            answer["scores"], found, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_array_equal(
            answer["names"].numpy().astype(str), names[rows]
        )


@pytest.mark.parametrize("distance", distances.DISTANCES)
def test_equal_distances_come_in_order_of_names(distance):
    embeddings = np.ones((90, 8), np.float32)
    _, names = archive(90)
    retriever = serving.Retriever(embeddings, names, distance=distance)
    answer = retriever.search(embeddings[:1], tf.constant(60))
    np.testing.assert_array_equal(
        answer["names"].numpy().astype(str)[0], names[:60]
    )


def test_refuses_k_of_zero():
    embeddings, names = archive(5)
    retriever = serving.Retriever(embeddings, names, distance="cosine")
    with pytest.raises(tf.errors.InvalidArgumentError):
        retriever.search(embeddings, tf.constant(0))


_TENSORFLOW_ALONE = """
import json, sys
for name in ("ben_tf", "faiss", "tf_keras", "tensorflow_addons"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf
folder, inputs = sys.argv[1:]
inputs = {name: tf.constant(x) for name, x in np.load(inputs).items()}
serve = tf.saved_model.load(folder).signatures["serving_default"]
print(json.dumps([
    serve(**inputs, k=tf.constant(k))["names"].numpy().astype(str).tolist()
    for k in (1, 3)
]))
"""


@pytest.mark.slow
def test_serves_with_tensorflow_alone(sample_index, tmp_path):
    folder = serving.export(
        index.Index.open(sample_index), tmp_path / "serving"
    )
    generator = np.random.default_rng(0)
    s1 = generator.normal(-15, 3, (2, 120, 120, 2)).astype(np.float32)
    s2 = {
        name: generator.integers(0, 3000, (2, *shape)).astype(np.uint16)
        for name, shape in (
            ("s2_10m", (120, 120, 4)),
            ("s2_20m", (60, 60, 6)),
            ("s2_60m", (20, 20, 2)),
        )
    }
    np.savez(tmp_path / "inputs.npz", s1=s1, **s2)
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            _TENSORFLOW_ALONE,
            folder,
            tmp_path / "inputs.npz",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    expected = index.Index.open(sample_index).query(s1=s1, s2=s2, k=3).names
    one, three = json.loads(process.stdout.splitlines()[-1])
    np.testing.assert_array_equal(one, expected[:, :1])
    np.testing.assert_array_equal(three, expected)


@pytest.mark.slow
def test_replaces_an_export_but_nothing_else(sample_index, tmp_path):
    folder = tmp_path / "serving"
    serving.export(index.Index.open(sample_index), folder)
    serving.export(index.Index.open(sample_index), folder)
    assert not list(tmp_path.glob("*.part"))
    card = (folder / "README.md").read_text()
    assert "Made of SYNTHETIC data" in card
    assert index.Index.open(sample_index).manifest.fingerprint in card
    (tmp_path / "mine").mkdir()
    with pytest.raises(errors.UserError, match="holds no SavedModel"):
        serving.export(index.Index.open(sample_index), tmp_path / "mine")


def test_refuses_binary_codes(write, tmp_path):
    path = write(search="binary")
    with pytest.raises(errors.UserError, match="compares binary codes"):
        serving.export(index.Index.open(path), tmp_path / "serving")
