"""What TensorBoard reads of the folder, and which picture is of which patch."""

import shutil

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing import (
    plugin_event_multiplexer as multiplexer,
)
from tensorboard.plugins import base_plugin
from tensorboard.plugins import projector as tensorboard_projector
from tensorboard.plugins.projector import projector_plugin
from werkzeug import test as werkzeug_test
from werkzeug import wrappers

from ben_tf import errors
from ben_tf.plots import pictures
from ben_tf.retrieval import index as index_lib
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import patch_source
from ben_tf.retrieval import projector
from tests import in_process
from tests.ben_tf.retrieval import index_folders

FILES = {
    "projector_config.pbtxt",
    "embeddings.tsv",
    "metadata.tsv",
    "sprite.png",
}


@pytest.fixture(scope="module")
def folder(sample_index, data_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("projector") / "folder"
    projector.write(index=sample_index, data_dir=data_dir, output_dir=path)
    return path


def entry_of(folder):
    """The one entry of the configuration, by TensorBoard's own type."""
    config = tensorboard_projector.ProjectorConfig()
    text_format.Parse((folder / "projector_config.pbtxt").read_text(), config)
    (entry,) = config.embeddings
    return entry


def table(folder):
    """Title -> cells, as the page splits them."""
    text = (folder / "metadata.tsv").read_bytes().decode()
    titles, *rows = [line.split("\t") for line in text.split("\n")[:-1]]
    assert {len(row) for row in rows} == {len(titles)}
    return dict(zip(titles, zip(*rows, strict=True), strict=True))


def cells(folder):
    """The pictures of a sprite, as the page numbers them."""
    size, also = entry_of(folder).sprite.single_image_dim
    assert size == also
    sprite = np.asarray(Image.open(folder / "sprite.png"))
    for number in range(sprite.shape[0] * sprite.shape[1] // size**2):
        row, column = divmod(number, sprite.shape[1] // size)
        yield sprite[
            row * size : (row + 1) * size, column * size : (column + 1) * size
        ]


def test_the_configuration_names_what_is_there(folder):
    entry = entry_of(folder)
    assert {path.name for path in folder.iterdir()} == FILES
    assert entry.tensor_path == "embeddings.tsv"
    assert entry.metadata_path == "metadata.tsv"
    assert entry.sprite.image_path == "sprite.png"
    assert entry.tensor_name == "index_MM_SYNTHETIC"


def test_embeddings_are_those_of_the_index_to_the_last_bit(
    folder, sample_index
):
    read = np.loadtxt(folder / "embeddings.tsv", np.float32, delimiter="\t")
    opened = index_lib.Index.open(sample_index)
    np.testing.assert_array_equal(read, opened.embeddings)


def test_columns_describe_the_patches(folder, sample_index):
    opened = index_lib.Index.open(sample_index)
    found = table(folder)
    patches = opened.describe(range(len(opened.names)))
    for title in ("name", "country", "season", "split", "date"):
        assert found[title] == tuple(str(getattr(x, title)) for x in patches)
    assert found["labels"] == tuple("; ".join(x.labels) for x in patches)
    for place, name in enumerate(opened.manifest.class_names):
        has = np.array(found[name]) == "yes"
        np.testing.assert_array_equal(has, opened.labels[:, place])


def test_each_picture_is_that_of_its_row(folder, sample_index, data_dir):
    names = index_lib.Index.open(sample_index).names.tolist()
    size, _ = entry_of(folder).sprite.single_image_dim
    grids = patch_source.from_dataset(data_dir, names, grids=["s2_10m"])
    for name, cell in zip(names, cells(folder), strict=False):
        drawn = Image.fromarray(pictures.render(grids[name], "True colour"))
        np.testing.assert_array_equal(
            cell, drawn.resize((size, size), Image.Resampling.BOX)
        )


def test_an_index_of_radar_shows_radar(sample_index, data_dir, tmp_path):
    index = shutil.copytree(sample_index, tmp_path / "index")
    index_folders.edit_manifest(index, modality="S1")
    folder = tmp_path / "folder"
    projector.write(index=index, data_dir=data_dir, output_dir=folder)
    name = table(folder)["name"][0]
    size, _ = entry_of(folder).sprite.single_image_dim
    grids = patch_source.from_dataset(data_dir, [name], grids=["s1"])[name]
    drawn = Image.fromarray(pictures.render(grids, "Radar: VV, VH, VV - VH"))
    np.testing.assert_array_equal(
        next(cells(folder)),
        drawn.resize((size, size), Image.Resampling.BOX),
    )


def test_tensorboard_serves_the_folder(folder):
    context = base_plugin.TBContext(
        logdir=str(folder),
        data_provider=data_provider.MultiplexerDataProvider(
            multiplexer.EventMultiplexer(), str(folder)
        ),
    )
    apps = projector_plugin.ProjectorPlugin(context).get_plugin_apps()
    asked = {"run": ".", "name": entry_of(folder).tensor_name}

    def get(route):
        client = werkzeug_test.Client(apps[route], wrappers.Response)
        answer = client.get(route, query_string=asked)
        assert answer.status_code == 200
        return answer

    embeddings = np.loadtxt(folder / "embeddings.tsv", np.float32)
    tensor = np.frombuffer(get("/tensor").data, np.float32)
    np.testing.assert_array_equal(tensor, embeddings.ravel())
    assert get("/metadata").data == (folder / "metadata.tsv").read_bytes()
    sprite = get("/sprite_image")
    assert sprite.mimetype == "image/png"
    assert sprite.data == (folder / "sprite.png").read_bytes()
    (embedding,) = get("/info").json["embeddings"]
    assert embedding["tensorShape"] == list(embeddings.shape)


def test_rows_are_evenly_spaced(sample_index, data_dir, tmp_path):
    names = index_lib.Index.open(sample_index).names
    written = projector.write(
        index=sample_index,
        data_dir=data_dir,
        output_dir=tmp_path / "folder",
        num_patches=3,
    )
    assert written == (3, len(names))
    middle = (len(names) - 1) // 2
    expected = (names[0], names[middle], names[-1])
    assert table(tmp_path / "folder")["name"] == expected
    # Two in the first row, one below.
    assert Image.open(tmp_path / "folder" / "sprite.png").size == (128, 128)


@pytest.mark.parametrize(
    ("num_patches", "size"),
    [(1, 64), (10_000, 64), (16_384, 64), (16_385, 63), (100_000, 25)],
)
def test_no_sprite_is_larger_than_the_page_takes(num_patches, size):
    assert projector._picture_size(num_patches) == size
    assert size * projector._pictures_a_row(num_patches) <= 8192
    assert projector._pictures_a_row(num_patches) ** 2 >= num_patches


@pytest.fixture
def black(monkeypatch):
    """Stands for a dataset that has every patch."""

    def each(data_dir, names, **_):
        grids = {"s2_10m": np.zeros((120, 120, 4), np.uint16)}
        for name in names:
            yield patch_source.Found(patch_facts.Patch(name=name), grids)

    monkeypatch.setattr(patch_source, "each", each)


def test_names_cannot_break_the_table(write, black, tmp_path):
    """An index with tabs and control characters in names does not open."""
    ends = ["\x85", "\u2028", "\u2029", " \xa0 "]
    evil = [f"{number}{ends[number % 4]}x" for number in range(119)]
    index = write("an\tindex & #1", names=np.array([*evil, "=1+1"]))
    folder = tmp_path / "folder"
    projector.write(index=index, data_dir="x", output_dir=folder)
    lines = (folder / "metadata.tsv").read_text().splitlines()
    assert len(lines) == 1 + 120
    expected = {f"{number} x" for number in range(119)}
    assert set(table(folder)["name"]) == {*expected, "'=1+1"}
    assert entry_of(folder).tensor_name == "an_index____1_MM_SYNTHETIC"


def test_nothing_ends_a_cell():
    assert projector._cell("a\tb\nc\r\nd\x0be") == "a b c d e"


def test_what_nobody_knows_is_a_question_mark(write, black, tmp_path):
    index = write(**patch_facts.unknown(120), synthetic=False)
    folder = tmp_path / "folder"
    projector.write(index=index, data_dir="x", output_dir=folder)
    for title in ("country", "season", "split", "date"):
        assert set(table(folder)[title]) == {"?"}
    assert entry_of(folder).tensor_name == "index_MM"


def test_another_folder_is_not_replaced(write, black, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "events").write_text("kept")
    (logs / "projector_config.pbtxt").touch()
    with pytest.raises(errors.UserError, match="something else: events"):
        projector.write(index=write(), data_dir="x", output_dir=logs)
    with pytest.raises(errors.UserError, match="something else: events"):
        projector.write(index=write(), data_dir="x", output_dir=logs / "events")
    assert (logs / "events").read_text() == "kept"


def test_an_earlier_or_empty_folder_is_replaced(write, black, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for count in (7, 5):
        projector.write(
            index=write(), data_dir="x", output_dir=folder, num_patches=count
        )
        assert len(table(folder)["name"]) == count
        assert {path.name for path in folder.iterdir()} == FILES


def test_pictures_of_other_records_are_refused(
    sample_index, reordered_data_dir, tmp_path
):
    with pytest.raises(errors.UserError, match="holds other records"):
        projector.write(
            index=sample_index,
            data_dir=reordered_data_dir,
            output_dir=tmp_path / "folder",
        )
    assert not list(tmp_path.iterdir())


def test_the_command_says_how_many_it_shows(sample_index, tmp_path):
    finished = in_process.run(
        *("ben_tf.retrieval", "projector", f"--index={sample_index}"),
        *(f"--output_dir={tmp_path / 'x'}", "--num_patches=2"),
    )
    assert finished.returncode == 0, finished.stderr
    num_patches = len(index_lib.Index.open(sample_index).names)
    assert finished.stdout == (
        f"Wrote 2 of {num_patches} patches. Show them with tensorboard "
        f"--logdir={tmp_path / 'x'}\n"
    )
    assert {path.name for path in (tmp_path / "x").iterdir()} == FILES
