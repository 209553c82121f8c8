"""Pieces of patches go to the file of their turn, one after the other."""

from hypothesis import given
from hypothesis import strategies

from ben_tf.archive import scratch_files

ORDER = {"a": 0, "b": 3, "c": 3, "d": scratch_files.NUM_FILES}


@given(
    pieces=strategies.lists(
        strategies.tuples(
            strategies.sampled_from(list(ORDER)),
            strategies.binary(max_size=9),
        )
    )
)
def test_every_piece_lies_where_it_was_placed(tmp_path_factory, pieces):
    folder = tmp_path_factory.mktemp("scratch")
    stem = str(folder / "x.tar")
    placed = []
    with scratch_files.ScratchFiles(stem, ORDER.get) as files:
        for name, content in pieces:
            place = files.place(name, len(content))
            place.file.write(content)
            placed.append((name, place, content))
    for name, place, content in placed:
        assert place.number == ORDER[name]
        with open(scratch_files.path(stem, place.number), "rb") as file:
            file.seek(place.position)
            assert file.read(len(content)) == content
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert files.num_bytes == sum(sizes) == sum(len(x) for _, x in pieces)


def test_only_those_are_dropped_that_are_there(tmp_path):
    stem = str(tmp_path / "x.tar")
    for number in (0, 3, 5):
        open(scratch_files.path(stem, number), "wb").close()
    scratch_files.drop(stem, range(5))
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.5"]
