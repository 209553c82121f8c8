"""Filters, against searching everything and filtering afterwards."""

import datetime

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.retrieval import distances
from ben_tf.retrieval import index
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import where
from tests.ben_tf.retrieval import conftest
from tests.ben_tf.retrieval import index_folders

FIRST_DAY = datetime.date(1970, 1, 1)
KINDS = [
    ("flat", "chi_square"),
    ("flat", "euclidean"),
    ("flat", "cosine"),
    ("binary", "euclidean"),
    ("ivf", "euclidean"),
    ("hnsw", "cosine"),
    ("pq", "euclidean"),
    ("ivf_pq", "euclidean"),
    ("ivf_pq", "cosine"),
]
NAMES = [f"patch_{number:04d}" for number in range(120)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """An index for each kind of search, of patches of two splits."""
    archive = conftest.make_archive()
    archive["split_numbers"] = np.arange(120) % 2
    archive["splits"] = ("test", "validation[:60]")
    folder = tmp_path_factory.mktemp("indexes")
    return {
        (search, distance): index.Index.open(
            conftest.write_index(
                folder / f"{search}_{distance}",
                search=search,
                distance=distance,
                saved_model=str(folder / "saved_model"),
                **archive,
            )
        )
        for search, distance in KINDS
    }


def _some(values, **options):
    return strategies.lists(strategies.sampled_from(values), **options)


def _dates():
    day = strategies.none() | strategies.dates(
        datetime.date(2016, 6, 1), datetime.date(2016, 12, 1)
    )
    return strategies.tuples(day, day).filter(
        lambda ends: None in ends or ends[0] <= ends[1]
    )


def _boxes():
    longitude = strategies.floats(9, 21)
    latitude = strategies.floats(0, 9)
    return strategies.none() | strategies.builds(
        lambda west, east, ends: (west, min(ends), east, max(ends)),
        longitude,
        longitude,
        strategies.tuples(latitude, latitude),
    )


CONDITIONS = strategies.builds(
    where.Where,
    labels_all=_some(bigearthnet.CLASSES_19, max_size=1),
    labels_any=_some(bigearthnet.CLASSES_19, max_size=6),
    labels_none=_some(bigearthnet.CLASSES_19, max_size=2),
    countries=_some(bigearthnet.COUNTRIES, max_size=8),
    seasons=_some(bigearthnet.SEASONS, max_size=3),
    dates=_dates(),
    bbox=_boxes(),
    splits=_some(["test", "validation", "validation[:60]"], max_size=2),
    names=strategies.none() | _some(NAMES, max_size=80),
)


def _meets(patch: patch_facts.Patch, conditions: where.Where) -> bool:
    """The conditions once more, in plain Python, of one patch."""
    labels = set(patch.labels)
    if not labels.issuperset(conditions.labels_all):
        return False
    if conditions.labels_any and labels.isdisjoint(conditions.labels_any):
        return False
    if not labels.isdisjoint(conditions.labels_none):
        return False
    if conditions.countries and patch.country not in conditions.countries:
        return False
    if conditions.seasons and patch.season not in conditions.seasons:
        return False
    first, last = conditions.dates
    if (first and patch.date < first) or (last and patch.date > last):
        return False
    if conditions.bbox:
        west, south, east, north = conditions.bbox
        is_east, is_west = west <= patch.longitude, patch.longitude <= east
        inside = is_east and is_west if west <= east else is_east or is_west
        if not inside or not south <= patch.latitude <= north:
            return False
    if conditions.splits and not {
        patch.split,
        patch.split.split("[")[0],
    } & set(conditions.splits):
        return False
    return conditions.names is None or patch.name in conditions.names


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(conditions=CONDITIONS, k=strategies.integers(1, 130))
def test_answers_are_those_of_filtering_afterwards(opened, kind, conditions, k):
    searched = opened[kind]
    queries = searched.embeddings[:3]
    # All of them, so that what is approximate is complete.
    everything = searched.search(
        queries, k=120, fingerprint=conftest.FINGERPRINT
    )
    is_exact = kind[0] in ("flat", "binary")
    assert (everything.rows != index.EMPTY).all() or not is_exact
    found = searched.search(
        queries, k=k, fingerprint=conftest.FINGERPRINT, where=conditions
    )
    allowed = [
        row
        for row, patch in enumerate(searched.describe(np.arange(120)))
        if _meets(patch, conditions)
    ]
    assert found.rows.shape == (3, min(k, len(allowed)))
    for query, (rows, distant) in enumerate(
        zip(everything.rows, everything.distances, strict=True)
    ):
        expected = np.isin(rows, allowed)
        if is_exact:
            np.testing.assert_array_equal(found.rows[query], rows[expected][:k])
            np.testing.assert_array_equal(
                found.distances[query], distant[expected][:k]
            )
        else:
            hits = found.rows[query][found.rows[query] != index.EMPTY]
            assert set(hits) <= set(allowed)
            assert len(set(hits)) == len(hits)


@pytest.mark.parametrize(
    "kind",
    [k for k in KINDS if k[0] in ("ivf", "hnsw", "pq", "ivf_pq")],
)
@pytest.mark.parametrize("num_left", [2, 12, 60, 119])
def test_approximate_searches_keep_their_recall(opened, kind, num_left):
    searched = opened[kind]
    queries = searched.embeddings
    names = NAMES[:num_left]
    exact = distances.distance(
        kind[1], queries[:, None], searched.embeddings[:num_left]
    )
    expected = np.argsort(exact, axis=1, kind="stable")[:, :10]
    found = searched.search(
        queries,
        k=10,
        fingerprint=conftest.FINGERPRINT,
        where=where.Where(names=names),
    )
    recall = [
        len(set(a) & set(b)) / len(b)
        for a, b in zip(found.rows, expected, strict=True)
    ]
    assert np.mean(recall) > 0.9


def test_no_condition_is_all(opened):
    assert where.Where().rows(opened["flat", "cosine"]) is None
    # Clients of the server send empty lists.
    for empty in (
        where.Where(labels_all=[], splits=[]),
        where.Where(names=NAMES),
    ):
        assert empty.rows(opened["flat", "cosine"]) is None
    found = where.Where(names=NAMES[:-1]).rows(opened["flat", "cosine"])
    np.testing.assert_array_equal(found, np.arange(119))


def test_no_patch_is_no_hit(opened):
    searched = opened["flat", "euclidean"]
    found = searched.search(
        searched.embeddings[:2],
        k=5,
        fingerprint=conftest.FINGERPRINT,
        where=where.Where(names=[]),
        exclude=searched.names[:2],
    )
    assert list(found) == []
    assert found.labels.shape == (2, 0, 19)


def test_excluded_patches_leave_room_for_others(opened):
    searched = opened["flat", "euclidean"]
    names = searched.names[:6].reshape(2, 3)
    found = searched.search(
        searched.embeddings[[0, 3]],
        k=4,
        fingerprint=conftest.FINGERPRINT,
        where=where.Where(names=NAMES[:8]),
        exclude=names,
    )
    for query in range(2):
        expected = set(NAMES[:8]) - set(names[query])
        assert len(expected & set(found.names[query])) == 4


@pytest.mark.parametrize(
    ("conditions", "match"),
    [
        ({"countries": ["Atlantis"]}, "`countries`.*'Portugal'.*'Atlantis'"),
        ({"seasons": ["Autumn"]}, "`seasons`.*'Fall'.*'Autumn'"),
        ({"bbox": (0, 50, 10, 40)}, "`bbox`"),
        ({"bbox": (0, 0, 200, 1)}, "`bbox`"),
        ({"bbox": (0, float("nan"), 1, 1)}, "`bbox`"),
        (
            {"dates": (datetime.date(2018, 1, 2), datetime.date(2018, 1, 1))},
            "`dates`.*2018-01-02",
        ),
    ],
)
def test_what_no_patch_can_meet_is_refused(conditions, match):
    with pytest.raises(errors.UserError, match=match):
        where.Where(**conditions)


@pytest.mark.parametrize(
    ("conditions", "match"),
    [
        ({"labels_any": ["Continuous urban fabric"]}, "`labels_any`.*'Pastur"),
        ({"labels_all": ["pastures"]}, "`labels_all`"),
        ({"labels_none": [""]}, "`labels_none`"),
        ({"splits": ["train"]}, "`splits`.*'validation'"),
        ({"names": ["patch_0001", "patch_x"]}, "'patch_x' is not in the index"),
    ],
)
def test_what_the_index_does_not_have_is_refused(opened, conditions, match):
    with pytest.raises(errors.UserError, match=match):
        where.Where(**conditions).rows(opened["flat", "cosine"])


@pytest.mark.parametrize(
    "conditions",
    [
        {"countries": ["Austria"]},
        {"seasons": ["Winter"]},
        {"dates": (FIRST_DAY, None)},
        {"splits": ["test"]},
    ],
)
def test_an_index_of_before_says_what_it_does_not_know(write, conditions):
    path = write()
    index_folders.make_older(path)
    with pytest.raises(errors.UserError, match="does not know the"):
        where.Where(**conditions).rows(index.Index.open(path))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2017-06-01/2017-08-31", ((2017, 6, 1), (2017, 8, 31))),
        ("2017-06-01/..", ((2017, 6, 1), None)),
        ("../2017-08-31", (None, (2017, 8, 31))),
        ("2017-06-13", ((2017, 6, 13), (2017, 6, 13))),
    ],
)
def test_dates_are_read(text, expected):
    assert where.parse_dates(text) == tuple(
        day and datetime.date(*day) for day in expected
    )


@pytest.mark.parametrize("text", ["", "..", "june", "2017", "a/b/c", "1/2"])
def test_other_texts_are_no_dates(text):
    with pytest.raises(ValueError, match=r"."):
        where.parse_dates(text)


def test_boxes_are_read():
    assert where.parse_bbox("-9.5, 38,-8,39.25") == (-9.5, 38, -8, 39.25)
    for text in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d"):
        with pytest.raises(ValueError, match=r"."):
            where.parse_bbox(text)
