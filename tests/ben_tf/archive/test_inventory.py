"""What an archive holds against the official pairs."""

from ben_tf.archive import inventory
from ben_tf.archive import official_lists
from ben_tf.archive import patch_sources


class Names:
    """A source that knows names only."""

    def __init__(self, names):
        self._names = names

    def patch_names(self):
        return self._names


def take(s1_names, s2_names) -> inventory.Inventory:
    sources = {"S1": Names(s1_names), "S2": Names(s2_names)}
    return inventory.take(
        patch_sources.Archive("v1", sources), official_lists.official_patches()
    )


def test_whole_pairs_come_in_the_order_of_their_names(real_pairs):
    found = take(
        [pair.s1_name for pair in real_pairs],
        [pair.s2_name for pair in real_pairs[::-1]],
    )
    assert found.pairs == real_pairs
    assert found.faults == []


def test_each_half_names_its_partner(real_pairs):
    first, second, *_ = real_pairs
    found = take([first.s1_name], [second.s2_name])
    assert found.pairs == []
    assert [(half.place, half.reason[:11]) for half in found.faults] == [
        (second.s2_name, "has no S1 p"),
        (first.s1_name, "has no S2 p"),
    ]
    assert second.s1_name in found.faults[0].reason
    assert first.s2_name in found.faults[1].reason
    assert {half.kind for half in found.faults} == {"missing"}


def test_names_of_no_list_are_unknown_in_both_sensors(real_pairs):
    found = take(
        ["README", real_pairs[0].s1_name], [real_pairs[0].s2_name, "x"]
    )
    assert found.pairs == real_pairs[:1]
    assert [fault.place for fault in found.faults] == ["x", "README"]
    assert {fault.kind for fault in found.faults} == {"surplus"}
    assert "official list" in found.faults[0].reason
