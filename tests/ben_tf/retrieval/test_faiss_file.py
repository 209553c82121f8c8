"""What a file of FAISS says is compared with what the index is."""

import faiss
import numpy as np
import pytest

from ben_tf import errors
from ben_tf.retrieval import approximate_search
from ben_tf.retrieval import faiss_file
from ben_tf.retrieval import index
from tests.ben_tf.retrieval import conftest
from tests.ben_tf.retrieval import index_folders

ROWS, SIZE = 400, 16
EMBEDDINGS = np.random.default_rng(0).random((ROWS, SIZE), np.float32)


def _build(kind):
    return approximate_search.build(kind, "euclidean", EMBEDDINGS)


def _load(path, kind):
    return faiss_file.load(path, kind, num_rows=ROWS, dimension=SIZE)


@pytest.mark.parametrize("kind", faiss_file.KINDS)
def test_an_index_is_read_as_it_was_written(tmp_path, kind):
    path = tmp_path / "faiss.index"
    built = _build(kind)
    faiss_file.save(built, path)
    read = _load(path, kind)
    assert faiss_file.kind_of(read) == kind
    expected = built.search(EMBEDDINGS[:5], 3)
    for found, wanted in zip(
        read.search(EMBEDDINGS[:5], 3), expected, strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_compressed_lists_stay_in_their_file(tmp_path):
    path = tmp_path / "faiss.index"
    faiss_file.save(_build("ivf_pq"), path)
    read = _load(path, "ivf_pq")
    assert isinstance(
        faiss.downcast_InvertedLists(read.invlists), faiss.OnDiskInvertedLists
    )
    with open("/proc/self/maps") as maps:
        assert any(line.rstrip().endswith(str(path)) for line in maps)


@pytest.mark.parametrize("search", ["ivf", "ivf_pq"])
@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_file_that_cannot_be_read(write, search, content):
    path = write(search=search, distance="euclidean")
    index_folders.data_file(path, "faiss.index").write_bytes(content)
    index_folders.vouch(path)
    with pytest.raises(errors.UserError, match="FAISS cannot read"):
        index.Index.open(path)


@pytest.mark.parametrize(
    ("search", "claimed"),
    [("ivf", "hnsw"), ("ivf", "ivf_pq"), ("pq", "ivf_pq")],
)
def test_a_file_of_another_kind(write, search, claimed):
    path = write(search=search, distance="euclidean")
    index_folders.edit_manifest(path, search=claimed)
    with pytest.raises(errors.UserError, match="does not belong"):
        index.Index.open(path)


@pytest.mark.parametrize("search", ["ivf", "ivf_pq"])
def test_a_file_that_ends_early(write, search):
    path = write(search=search, distance="euclidean")
    file = index_folders.data_file(path, "faiss.index")
    file.write_bytes(file.read_bytes()[:-100])
    index_folders.vouch(path)
    with pytest.raises(errors.UserError, match="FAISS cannot read"):
        index.Index.open(path)


def _other_metric(built):
    built.metric_type = faiss.METRIC_INNER_PRODUCT


def _not_trained(built):
    built.is_trained = False


def _fewer_centres(built):
    cells = faiss.downcast_index(built.quantizer)
    cells.reset()
    cells.add(EMBEDDINGS[: built.nlist - 1])


def _centres_of_another_size(built):
    cells = faiss.IndexFlatL2(SIZE - 1)
    cells.add(np.zeros((built.nlist, SIZE - 1), np.float32))
    cells.this.disown()
    built.quantizer = cells


def _more_rows_than_lists(built):
    built.invlists.reset()


def _codes_of_another_size(built):
    built.code_size += 1


def _more_values_in_a_part(built):
    built.pq.nbits = 12


CHANGES = [
    *(
        (kind, change)
        for kind in ("ivf", "ivf_pq")
        for change in (
            _other_metric,
            _not_trained,
            _fewer_centres,
            _centres_of_another_size,
            _more_rows_than_lists,
        )
    ),
    ("ivf_pq", _codes_of_another_size),
    ("ivf_pq", _more_values_in_a_part),
]


@pytest.mark.parametrize(("kind", "change"), CHANGES)
def test_sizes_that_do_not_fit_are_refused(tmp_path, kind, change):
    built = _build(kind)
    change(built)
    faiss_file.save(built, tmp_path / "faiss.index")
    with pytest.raises(errors.UserError, match=r"damaged|does not belong"):
        _load(tmp_path / "faiss.index", kind)


@pytest.mark.parametrize("kind", ["ivf", "ivf_pq"])
def test_lists_in_another_file_are_refused(tmp_path, kind):
    built = _build(kind)
    elsewhere = faiss.OnDiskInvertedLists(
        built.nlist, built.code_size, str(tmp_path / "elsewhere")
    )
    lists = built.invlists
    elsewhere.merge_from_1(lists)
    built.replace_invlists(elsewhere, False)
    faiss_file.save(built, tmp_path / "faiss.index")
    assert (tmp_path / "elsewhere").is_file()
    with pytest.raises(errors.UserError, match="does not belong"):
        _load(tmp_path / "faiss.index", kind)


def test_a_mapped_index_that_is_replaced_still_answers(write, archive):
    path = write(search="ivf_pq", distance="euclidean")
    opened = index.Index.open(path)
    queries = archive["embeddings"][:3]
    before = opened.search(queries, k=5, fingerprint=conftest.FINGERPRINT)
    write(search="ivf_pq", distance="euclidean")
    after = opened.search(queries, k=5, fingerprint=conftest.FINGERPRINT)
    np.testing.assert_array_equal(after.names, before.names)
