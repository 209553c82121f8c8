"""Which pairs belong to a part, by hand and on the official lists."""

import collections

import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.archive import official_lists
from ben_tf.archive import parts
from tests import permissions


def pair(number: int, **changes) -> official_lists.OfficialPatch:
    return official_lists.OfficialPatch(
        s2_name=f"s2_{number}",
        s1_name=f"s1_{number}",
        country="Austria",
        season="Summer",
        split="train",
        seasonal_snow=False,
        cloud_or_shadow=False,
        labels_19=("Pastures",),
    )._replace(**changes)


PAIRS = {
    "train": [
        pair(0),
        pair(1, country="Finland"),
        pair(2, season="Winter"),
        pair(3, labels_19=("Marine waters", "Pastures")),
    ],
    "test": [pair(4, split="test"), pair(5, split="test", country="Finland")],
}


def names_of(part: parts.Part) -> list[str]:
    selected = part.select(PAIRS, lambda each: each.labels_19)
    assert all(selected.values())
    return [each.s2_name for pairs in selected.values() for each in pairs]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"countries": ["Finland"]}, [1, 5]),
        ({"countries": ["Finland", "Austria"]}, [0, 1, 2, 3, 4, 5]),
        ({"seasons": ["Winter"]}, [2]),
        ({"splits": ["test"]}, [4, 5]),
        ({"labels": ["Marine waters"]}, [3]),
        ({"labels": ["Marine waters", "Pastures"]}, [0, 1, 2, 3, 4, 5]),
        ({"patches": frozenset(["s2_5", "s2_0"])}, [0, 5]),
        ({"countries": ["Finland"], "splits": ["train"]}, [1]),
        ({"countries": ["Portugal"]}, []),
        ({"max_pairs": 3}, [0, 1, 4]),
        ({"max_pairs": 6}, [0, 1, 2, 3, 4, 5]),
        ({"max_pairs": 1}, [0]),
        ({"max_pairs": 1, "splits": ["test"]}, [4]),
    ],
)
def test_what_belongs_to_a_part(options, numbers):
    assert names_of(parts.Part(**options)) == [f"s2_{x}" for x in numbers]


@pytest.mark.parametrize("most", [1, 7, 100, 12_345])
def test_splits_keep_their_shares(most):
    by_split = collections.defaultdict(list)
    for each in official_lists.official_patches().values():
        by_split[each.split].append(each)
    selected = parts.Part(max_pairs=most).select(by_split, lambda each: ())
    assert sum(map(len, selected.values())) == most
    for split, pairs in by_split.items():
        share = most * len(pairs) / bigearthnet.NUM_PATCHES
        assert abs(len(selected.get(split, [])) - share) < 1


def test_smaller_parts_belong_to_larger_ones():
    small, large = (
        set(names_of(parts.Part(max_pairs=most))) for most in (2, 5)
    )
    assert small < large


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"countries": ["Atlantis"]}, "`countries`.*'Belgium'.*'Atlantis'"),
        ({"seasons": ["Autumn"]}, "`seasons`.*'Fall'.*'Autumn'"),
        ({"splits": ["val"]}, "`splits`.*'validation'.*'val'"),
        ({"labels": ["Sea"]}, "`labels`.*'Sea and ocean'.*'Sea'"),
        ({"max_pairs": 0}, "`max_pairs` of 1 or more"),
    ],
)
def test_names_that_do_not_exist_are_refused(options, match):
    with pytest.raises(errors.UserError, match=match):
        parts.Part(**options)


def test_a_part_describes_itself():
    assert parts.Part().description == ""
    assert parts.Part(
        countries=["Austria", "Finland"],
        labels=["Pastures"],
        patches=frozenset(["a", "b"]),
        max_pairs=1_000,
    ).description == (
        "countries Austria, Finland; labels Pastures; patches by name, 2; at "
        "most 1,000 pairs"
    )


OFFICIAL = {
    each.s2_name: each
    for each in (pair(1), pair(2, v1_name="old_2"), pair(3, v1_name="old_3"))
}


@pytest.mark.parametrize(
    "text",
    [
        "s2_1\ns2_3\n",
        "s1_1\nold_3",
        "# mine\n\n s2_1 # the first\r\ns2_3,s1_3\n",
        "s2_1\ns2_1\ns2_3\ns1_3\n",
    ],
)
def test_names_are_read_in_all_their_forms(tmp_path, text):
    (tmp_path / "names.txt").write_text(text)
    names = parts.read_names(tmp_path / "names.txt", OFFICIAL)
    assert names == {"s2_1", "s2_3"}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"s2_1\nnobody\n", r"Line 2 of .*names\.txt.*'nobody'"),
        (b"", "names no patch"),
        (b"# s2_1\n", "names no patch"),
        (b"\xff\xfe", "cannot be read"),
        (None, "cannot be read: .*No such file"),
    ],
)
def test_files_of_no_names_are_refused(tmp_path, content, match):
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(errors.UserError, match=match):
        parts.read_names(path, OFFICIAL)


def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("s2_1")
    with (
        permissions.denied(path),
        pytest.raises(PermissionError, match=str(path)),
    ):
        parts.read_names(path, OFFICIAL)
