import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import distances
from ben_tf.retrieval import index
from ben_tf.retrieval import index_reader
from ben_tf.retrieval import store
from tests.ben_tf.retrieval import conftest
from tests.ben_tf.retrieval import index_folders

FINGERPRINT = conftest.FINGERPRINT


def test_keeps_what_was_written(write, archive):
    opened = index.Index.open(write())
    order = np.argsort(archive["names"])
    for name in (
        *("names", "labels", "embeddings", "epsg", "upper_left"),
        *("countries", "seasons", "days", "split_numbers"),
    ):
        np.testing.assert_array_equal(
            getattr(opened, name), archive[name][order]
        )
    assert opened.manifest.non_negative
    assert opened.manifest.class_names == archive["class_names"]


@pytest.mark.parametrize("distance", distances.DISTANCES)
def test_finds_the_nearest(write, archive, distance):
    opened = index.Index.open(write(distance=distance))
    queries = archive["embeddings"][:5]
    hits = opened.search(queries, k=7, fingerprint=FINGERPRINT)
    full = distances.distance(distance, queries[:, None], opened.embeddings)
    expected = np.argsort(full, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(hits.rows, expected)
    np.testing.assert_array_equal(hits.names, opened.names[expected])
    np.testing.assert_array_equal(hits.labels, opened.labels[expected])
    # Each query is in the archive: it is its own nearest patch.
    np.testing.assert_array_equal(hits.names[:, 0], archive["names"][:5])


@pytest.mark.parametrize(
    ("search", "distance"),
    [
        (search, distance)
        for search in ("ivf", "hnsw", "pq", "ivf_pq")
        for distance in ("euclidean", "cosine")
    ],
)
def test_approximate_search_finds_nearly_the_same(
    write, archive, search, distance
):
    exact = index.Index.open(write("exact", distance=distance))
    approximate = index.Index.open(
        write("approximate", distance=distance, search=search)
    )
    queries = archive["embeddings"]
    expected = exact.search(queries, k=10, fingerprint=FINGERPRINT)
    hits = approximate.search(queries, k=10, fingerprint=FINGERPRINT)
    found = [
        len(set(a) & set(b))
        for a, b in zip(hits.rows, expected.rows, strict=True)
    ]
    assert np.mean(found) / 10 > 0.9
    # Where both found a patch, they give the same distance.
    np.testing.assert_array_equal(
        hits.distances[:, 0], expected.distances[:, 0]
    )


def test_codes_answer_by_hamming_distance_then_name(write, archive):
    opened = index.Index.open(write(search="binary", bits=8))
    assert opened.distance == "hamming"
    queries = archive["embeddings"][:9]
    hits = opened.search(queries, k=50, fingerprint=FINGERPRINT)
    path = index_folders.data_file(opened.path, "codes.npy")
    bits = np.unpackbits(np.load(path), axis=1)
    own = bits[opened.rows_of(archive["names"][:9])]
    full = (own[:, None] != bits).sum(axis=2)
    expected = np.argsort(full, axis=1, kind="stable")[:, :50]
    np.testing.assert_array_equal(hits.rows, expected)
    np.testing.assert_array_equal(
        hits.distances, np.take_along_axis(full, expected, axis=1)
    )


def test_signs_of_a_hashing_head_are_the_code(write, archive):
    signs = np.random.default_rng(0).standard_normal((120, 16), np.float32)
    opened = index.Index.open(
        write(search="binary", bits=16, distance="cosine", embeddings=signs)
    )
    hits = opened.search(signs[:1], k=120, fingerprint=FINGERPRINT)
    full = ((signs[:1] > 0) != (opened.embeddings > 0)).sum(axis=1)
    np.testing.assert_array_equal(hits.distances[0], np.sort(full))


def test_codes_find_across_sensors_that_lie_apart(write, archive):
    """One sensor's embeddings are the other's, moved as a whole."""
    embeddings = archive["embeddings"]
    moved = embeddings + np.float32(3)
    opened = index.Index.open(
        write(
            modality="S2",
            search="binary",
            bits=8,
            other_means={"S1": moved.mean(axis=0)},
        )
    )
    own = opened.search(embeddings[:9], k=5, fingerprint=FINGERPRINT)
    other = opened.search(
        moved[:9], k=5, fingerprint=FINGERPRINT, modality="S1"
    )
    np.testing.assert_array_equal(other.names, own.names)
    np.testing.assert_array_equal(other.distances, own.distances)
    # Taken for the other sensor's, they are all alike.
    mistaken = opened.search(moved[:9], k=5, fingerprint=FINGERPRINT)
    assert (mistaken.names != own.names).any()
    with pytest.raises(
        errors.UserError, match=r"queries of S2, S1\. Received: .* MM"
    ):
        opened.search(moved, k=5, fingerprint=FINGERPRINT, modality="MM")


def test_excludes_the_query_itself(write, archive):
    opened = index.Index.open(write())
    queries, names = archive["embeddings"][:4], archive["names"][:4]
    hits = opened.search(queries, k=3, fingerprint=FINGERPRINT, exclude=names)
    plain = opened.search(queries, k=4, fingerprint=FINGERPRINT)
    np.testing.assert_array_equal(hits.names, plain.names[:, 1:])
    stranger = opened.search(
        queries[:1], k=3, fingerprint=FINGERPRINT, exclude=["stranger"]
    )
    np.testing.assert_array_equal(stranger.names, plain.names[:1, :3])


def test_more_hits_than_patches_gives_all(write, archive):
    opened = index.Index.open(write())
    hits = opened.search(
        archive["embeddings"][:1], k=10_000, fingerprint=FINGERPRINT
    )
    assert hits.names.shape == (1, 120)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"fingerprint": "cd" * 32}, "another model.*Received: cdcdcd"),
        ({"queries": np.zeros((1, 3))}, r"another dimension.*\(1, 3\)"),
        ({"queries": np.full((1, 16), np.nan)}, "NaN or infinite"),
        ({"queries": np.full((1, 16), -1.0)}, "without negative"),
        ({"k": 0}, "at least 1"),
    ],
)
def test_refuses_queries_that_do_not_fit(write, change, match):
    opened = index.Index.open(write())
    arguments = {
        "queries": np.zeros((1, 16)),
        "k": 1,
        "fingerprint": FINGERPRINT,
        **change,
    }
    queries = arguments.pop("queries")
    with pytest.raises(errors.UserError, match=match):
        opened.search(queries, **arguments)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"distance": "l1"}, "Unknown distance"),
        ({"search": "magic"}, "Unknown search"),
        ({"search": "hnsw"}, "does not know the chi-square"),
        ({"search": "binary", "bits": 12}, "multiple of 8"),
        ({"names": np.repeat("same", 120)}, "same comes twice"),
        (
            {"embeddings": np.full((120, 16), -1, np.float32)},
            "without negative",
        ),
    ],
)
def test_refuses_to_write(write, tmp_path, options, match):
    with pytest.raises(errors.UserError, match=match):
        write(**options)
    # Nothing is left over.
    assert list(tmp_path.rglob("*.npy")) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("distance", ["chi_square", "euclidean"])
def test_refuses_to_write_what_is_not_finite_and_names_it(
    write, archive, value, distance
):
    embeddings = archive["embeddings"].copy()
    embeddings[[3, 50], 7] = value
    with pytest.raises(
        errors.UserError, match=r"of 2 of 120 patches are NaN or infinite"
    ) as caught:
        write(embeddings=embeddings, distance=distance)
    assert all(str(archive["names"][i]) in str(caught.value) for i in (3, 50))


def test_refuses_to_write_over_a_file(write, tmp_path):
    (tmp_path / "index").write_text("mine")
    with pytest.raises(errors.UserError, match="Received: a file"):
        write()


def test_no_index(tmp_path):
    with pytest.raises(errors.UserError, match="No index found"):
        index.Index.open(tmp_path)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": 99}, "another format version. Expected 2. Received: 99"),
        ({"data": "../../etc"}, "data-"),
        ({"num_patches": -1}, "num_patches"),
        ({"num_patches": 7}, "expected str"),
        ({"dimension": 7}, "expected float32"),
        ({"dimension": True}, "dimension"),
        ({"distance": "l1"}, "unknown distance"),
        ({"class_names": ["a"]}, "unknown class_names"),
        ({"sha256": 1}, "sha256"),
        ({"surprise": 1}, "surprise"),
        ({"synthetic": "no"}, "synthetic"),
        ({"num_bits": -8}, "num_bits"),
        ({"num_bits": 8}, "num_bits"),
        ({"query_modalities": ["S3"]}, "query_modalities"),
        ({"query_modalities": ["MM"]}, "query_modalities"),
        ({"search": "binary"}, "query_modalities"),
        ({"search": "hnsw"}, "hnsw does not know chi_square"),
        ({"sha256": {"names.npy": "ab"}}, "sha256"),
        ({"saved_model": 1}, "saved_model"),
        ({"splits": [1]}, "splits"),
    ],
)
def test_refuses_manifest(write, changes, match):
    path = write()
    index_folders.edit_manifest(path, **changes)
    with pytest.raises(errors.UserError, match=match):
        index.Index.open(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": 2}'])
def test_refuses_broken_manifest(write, text):
    path = write()
    (path / "manifest.json").write_text(text)
    with pytest.raises(errors.UserError, match="damaged"):
        index.Index.open(path)


def test_replaces_the_old_index(write, archive):
    path = write()
    old = index.Index.open(path)
    write(embeddings=archive["embeddings"] + 1)
    assert len(list(path.glob("data-*"))) == 1
    new = index.Index.open(path)
    # Whoever has the old one open keeps reading it.
    np.testing.assert_allclose(new.embeddings, old.embeddings + 1)


def test_a_model_elsewhere_is_run_only_if_it_is_named(write, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write("here/beside", saved_model=str(tmp_path / "here" / "run" / "model"))
    with pytest.raises(errors.UserError, match="No SavedModel found"):
        _ = index.Index.open(tmp_path / "here" / "beside").model
    (tmp_path / "here" / "link").symlink_to(elsewhere)
    for name, model in (
        ("away", elsewhere),
        ("up", tmp_path),
        ("linked", tmp_path / "here" / "link"),
    ):
        path = write(f"here/{name}", saved_model=str(model))
        with pytest.raises(errors.UserError, match="Pass `saved_model=/") as e:
            _ = index.Index.open(path).model
        assert os.path.realpath(model) in str(e.value)
        with pytest.raises(errors.UserError, match="No SavedModel found"):
            _ = index.Index.open(path, saved_model=model).model


@pytest.mark.parametrize("search", ["flat", "binary"])
def test_an_index_that_is_replaced_while_it_is_opened_is_read_anew(
    write, archive, monkeypatch, search
):
    path = write(search=search)
    read_arrays = index_reader.read_arrays
    later = [archive["embeddings"] + number for number in (1, 2)]

    def replace_first(*arguments):
        if later:
            write(search=search, embeddings=later.pop(0))
        return read_arrays(*arguments)

    monkeypatch.setattr(index_reader, "read_arrays", replace_first)
    found = index.Index.open(path)
    np.testing.assert_allclose(
        np.sort(found.embeddings, axis=None),
        np.sort(archive["embeddings"] + 2, axis=None),
    )
    assert (path / found.manifest.data).is_dir()


# Kills a writer before each file operation in turn: at the n-th event that
# Python reports for a path in the index folder, the n-th child ends itself.
_KILLED_EVERYWHERE = """
import os, signal, sys
import numpy as np
from ben_tf.retrieval import index
from tests.ben_tf.retrieval import conftest

path = sys.argv[1]

def write(seed):
    archive = conftest.make_archive(seed=seed)
    conftest.write_index(path, saved_model="m", **archive)

write(1)
states = {
    "old": index.Index.open(path).embeddings.copy(),
    "new": conftest.make_archive(seed=2),
}
order = np.argsort(states["new"]["names"])
states["new"] = states["new"]["embeddings"][order]
moments = 0
while True:
    moments += 1
    child = os.fork()
    if not child:
        seen = 0

        def count(event, arguments):
            global seen
            seen += any(
                isinstance(argument, (str, os.PathLike))
                and os.fspath(argument).startswith(path)
                for argument in arguments
            )
            # Killing is an event, too.
            if seen == moments and event != "os.kill":
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        write(2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = index.Index.open(path).embeddings
    print(*(n for n, rows in states.items() if np.array_equal(found, rows)))
    if os.WIFEXITED(status):
        sys.exit(os.WEXITSTATUS(status))
"""


@pytest.mark.slow
def test_killed_at_any_moment_leaves_the_old_index_or_the_new_one(tmp_path):
    path = tmp_path / "index"
    process = subprocess.run(
        [sys.executable, "-c", _KILLED_EVERYWHERE, os.fspath(path)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    found = process.stdout.split()
    # Once moved into place, the new index stays.
    switch = found.index("new")
    assert 10 < switch < len(found) - 1
    assert found == ["old"] * switch + ["new"] * (len(found) - switch)
    # The last one, built to its end, has cleaned up after all others.
    assert sorted(file.name for file in path.iterdir()) == sorted(
        [store.read_manifest(path).data, "manifest.json"]
    )


def test_hits_read_like_a_list(write, archive):
    order = np.argsort(archive["names"])
    opened = index.Index.open(write())
    queries = archive["embeddings"][:3]
    hits = opened.search(queries, k=4, fingerprint=FINGERPRINT)
    assert len(hits) == 12
    assert [hit.name for hit in hits] == hits.names.ravel().tolist()
    assert [hit.distance for hit in hits] == hits.distances.ravel().tolist()
    assert [(hit.query, hit.rank) for hit in hits] == [
        (query, rank) for query in range(3) for rank in range(1, 5)
    ]
    hit = hits[5]
    assert hit == hits[-7] == hits[4:6][1]
    assert hit in hits
    assert hit.labels == tuple(
        name
        for name, present in zip(
            bigearthnet.CLASSES_19, hits.labels[1, 1], strict=True
        )
        if present
    )
    row = order[hits.rows[1, 1]]
    assert hit.country == bigearthnet.COUNTRIES[row % 10]
    assert hit.upper_left == tuple(archive["upper_left"][row])
    with pytest.raises(IndexError):
        hits[12]


def test_the_hits_of_each_query(write, archive):
    opened = index.Index.open(write())
    hits = opened.search(
        archive["embeddings"][:3],
        k=120,
        fingerprint=FINGERPRINT,
        exclude=archive["names"][:3],
    )
    # As an approximate search leaves them.
    hits.rows[1, 50:] = index.EMPTY
    parts = hits.each()
    assert [len(part) for part in parts] == [119, 50, 119]
    for query, part in enumerate(parts):
        assert list(part) == [
            dataclasses.replace(hit, query=0)
            for hit in hits
            if hit.query == query
        ]
        np.testing.assert_array_equal(part.rows, hits.rows[[query]])
        np.testing.assert_array_equal(part.labels, hits.labels[[query]])


def test_empty_slots_are_no_hits(write, archive):
    opened = index.Index.open(write())
    names = archive["names"][:2]
    hits = opened.search(
        archive["embeddings"][:2], k=200, fingerprint=FINGERPRINT, exclude=names
    )
    assert len(hits) == len(list(hits)) == 2 * 119
    assert hits.rows.shape == (2, 119)
