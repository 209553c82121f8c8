"""The committed notebooks: what they say, show and may contain.

`make check-notebooks` runs them on few patches. What 06 does on the real
archive alone runs here, with training that does nothing.
"""

import ast
import importlib.util
import pathlib
import re
import shutil

import nbclient
import nbformat
import pytest

from ben_tf import errors
from ben_tf.evaluation import evaluation
from ben_tf.plots import style
from ben_tf.training import trainer
from tfrecords_builder import dataset

FOLDER = pathlib.Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
by_name = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)

# Maps with coasts and borders take the most.
_MAX_BYTES = 600_000
# Paths of a machine: a home, a temporary or a working folder, an environment.
_MACHINE_PATH = re.compile(
    r"(?<![\w./])/(home|root|tmp|work|usr|opt|var|Users)/"
)


def _code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _texts(notebook) -> list[str]:
    """What the cells show, pictures as SVG text included."""
    texts = []
    for cell in _code(notebook):
        for output in cell.outputs:
            texts.append(output.get("text", ""))
            texts.extend(
                content
                for kind, content in output.get("data", {}).items()
                if kind in ("text/plain", "image/svg+xml")
            )
    return texts


def _execute_module():
    spec = importlib.util.spec_from_file_location(
        "execute", FOLDER / "execute.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_count_up_from_01():
    numbers = [int(path.name.split("_")[0]) for path in PATHS]
    assert numbers == list(range(1, len(PATHS) + 1))
    assert numbers


@by_name
def test_the_first_cell_asks_answers_and_tells_the_run_time(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \d\d · .+\?\n", first.source)
    for heading in ("Answer", "Run time"):
        assert (
            len(re.findall(rf"^\*\*{heading}:\*\* .", first.source, re.M)) == 1
        )


@by_name
def test_one_call_opens_the_data(path):
    """BEN_DATA_DIR alone leads to the real archive: see `open_trial`."""
    setup, *others = _code(nbformat.read(path, as_version=4))
    assert len(setup.source.splitlines()) <= 4
    assert "trial = quickstart.open_trial(" in setup.source
    assert "BEN_DATA_DIR" in setup.source
    assert not any("environ" in cell.source for cell in (setup, *others))


@by_name
def test_defines_no_model_metric_or_parser(path):
    notebook = nbformat.read(path, as_version=4)
    tree = ast.parse("\n".join(cell.source for cell in _code(notebook)))
    imported, attributes = set(), set()
    for node in ast.walk(tree):
        assert not isinstance(node, ast.ClassDef)
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
        elif isinstance(node, ast.Attribute):
            attributes.add(node.attr)
    assert any(name.split(".")[0] == "ben_tf" for name in imported)
    roots = {name.split(".")[0] for name in imported}
    assert not roots & {"sklearn", "matplotlib", "keras"}
    # A map is a GeoTIFF like any other; patches are read by the package.
    assert "rasterio" not in roots or path.stem == "10_scene_map"
    assert not attributes & {"keras", "parse_example", "parse_single_example"}


@by_name
def test_outputs_are_there_and_without_errors(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = _code(notebook)
    assert [cell.execution_count for cell in cells] == list(
        range(1, len(cells) + 1)
    )
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("data" in output for output in outputs)
    for output in outputs:
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
    assert not any("Traceback" in text for text in _texts(notebook))


@by_name
def test_holds_nothing_of_the_machine_that_ran_it(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}
    for text in (*_texts(notebook), *(c.source for c in notebook.cells)):
        assert not _MACHINE_PATH.search(text), _MACHINE_PATH.search(text)
    assert path.stat().st_size < _MAX_BYTES


@by_name
def test_says_where_it_is_synthetic(path):
    notebook = nbformat.read(path, as_version=4)
    shown = "\n".join(_texts(notebook))
    # It ran on the sample; 01 and 06 draw nothing but real patches and the
    # paper's figures.
    if path.name[:2] not in ("01", "06"):
        assert style.SYNTHETIC_MARK in shown
    # A network of ours must not pass for the paper's.
    if "small_cnn" in shown:
        texts = [c.source for c in notebook.cells if c.cell_type == "markdown"]
        assert re.search(r"\*\*(is )?not the paper's", "\n".join(texts))


@pytest.mark.slow
@pytest.mark.parametrize("has_weights", [True, False])
def test_imagenet_on_real_data(
    real_archive, workdir, data_dir, tmp_path, monkeypatch, capsys, has_weights
):
    """Six real pairs; training takes note of what it is asked to train."""
    dataset.build(archive_dir=real_archive, data_dir=tmp_path / "data")
    shutil.copytree(workdir, tmp_path / "scored")
    scores = evaluation.evaluate(workdir=tmp_path / "scored", data_dir=data_dir)
    trained = {}

    def train(settings, path):
        if settings.initial_weights == "imagenet" and not has_weights:
            raise errors.UserError("No ImageNet weights.")
        trained[str(path)] = settings

    monkeypatch.setattr(trainer, "train", train)
    monkeypatch.setattr(evaluation, "evaluate", lambda **_: scores)
    monkeypatch.setenv("BEN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    _execute_module().check(FOLDER / "06_imagenet.ipynb")
    shown = capsys.readouterr().out
    assert "F2 of each class" in shown
    assert {x.data_dir for x in trained.values()} == {str(tmp_path / "data")}
    if has_weights:
        scratch, s1, s2, fused = trained
        assert fused == "runs/table1_imagenet_late_fusion"
        assert trained[fused].branch_workdirs == f"{s1},{s2}"
        assert scratch == "runs/table2_resnet50"
        assert "is left out" not in shown
    else:
        assert list(trained) == ["runs/table2_resnet50"]
        assert "ImageNet (ours) is left out. No ImageNet weights." in shown


@pytest.mark.slow
def test_execute_keeps_results_and_drops_notes(tmp_path, capfd):
    execute = _execute_module()
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "import sys\nprint('note', file=sys.stderr)\nprint('result')\n6"
            )
        ]
    )
    path = tmp_path / "01_small.ipynb"
    nbformat.write(notebook, path)
    done = execute.execute(path)
    stream, value = done.cells[0].outputs
    assert stream.text == "result\n"
    assert value.data["text/plain"] == "6"


def test_check_runs_all_cells_and_names_the_one_that_fails(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("six = 6"),
            nbformat.v4.new_markdown_cell("Broken:"),
            nbformat.v4.new_code_cell("six / 0"),
        ]
    )
    path = tmp_path / "01_broken.ipynb"
    nbformat.write(notebook, path)
    with pytest.raises(ZeroDivisionError) as error:
        _execute_module().check(path)
    assert str(error.traceback[-1].path).endswith("01_broken.ipynb, cell 3")


@pytest.mark.slow
def test_execute_fails_on_an_error(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1 / 0")]
    )
    path = tmp_path / "01_broken.ipynb"
    nbformat.write(notebook, path)
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDiv"):
        _execute_module().execute(path)
