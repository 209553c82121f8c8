"""The newest values stay, as many as fit."""

from ben_tf.retrieval.server import kept


def test_the_oldest_leave():
    made = kept.Kept(10)
    for key, size in (("a", 4), ("b", 4), ("c", 2)):
        made.put(key, key.upper(), size)
    assert [made.get(key) for key in "abcd"] == ["A", "B", "C", None]
    made.put("d", "D", 5)
    assert [made.get(key) for key in "abcd"] == [None, None, "C", "D"]


def test_a_key_counts_once():
    made = kept.Kept(10)
    made.put("a", 1, 3)
    for value in range(20):
        made.put("b", value, 7)
    assert (made.get("a"), made.get("b")) == (1, 19)


def test_what_is_too_large_is_not_kept():
    made = kept.Kept(10)
    made.put("a", 1, 3)
    made.put("b", 2, 11)
    assert (made.get("a"), made.get("b")) == (None, None)
    made.put("c", 3, 10)
    assert made.get("c") == 3
