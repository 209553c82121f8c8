"""Runs the notebooks from top to bottom; the first error ends it.

    python notebooks/execute.py            # all, and keeps what they show
    python notebooks/execute.py 02 07      # those whose names begin so
    python notebooks/execute.py --check    # all on a few patches, keeps nothing

`BEN_DATA_DIR=/path/to/data` in front runs them on that dataset instead of the
synthetic sample; 09 needs one of v2.0. Runs that are trained are kept in
notebooks/runs and resumed; delete the folder to train them anew. A check takes
one epoch of a tiny sample, in a temporary folder and one process for all
notebooks: it finds code that fails, not charts that have changed.
"""

import argparse
import contextlib
import dataclasses
import linecache
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator
from unittest import mock

import nbclient
import nbformat

from ben_tf.config import Config

FOLDER = pathlib.Path(__file__).parent
# A cell that trains on the real archive takes as long as it takes.
_NO_LIMIT = None
# Enough for the batch of 64 training pairs that notebook 08 measures.
_CHECK_PAIRS = 130


def execute(path: pathlib.Path) -> nbformat.NotebookNode:
    """Runs a notebook in its folder; returns it with its new outputs.

    Raises:
      nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=_NO_LIMIT,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            # Progress bars and TensorFlow's notes are no results.
            cell.outputs = [
                output
                for output in cell.outputs
                if output.get("name") != "stderr"
            ]
    # Nothing of the machine that ran it.
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    return notebook


def check(path: pathlib.Path) -> None:
    """Runs a notebook's code in this process, in the current folder.

    Raises:
      Exception: Whatever a cell raises; the traceback names the cell.
    """
    namespace: dict[str, object] = {"__name__": path.stem}
    for number, cell in enumerate(
        nbformat.read(path, as_version=4).cells, start=1
    ):
        if cell.cell_type == "code":
            place = f"{path.name}, cell {number}"
            # As in Jupyter, AutoGraph and tracebacks find the source.
            linecache.cache[place] = (
                len(cell.source),
                None,
                cell.source.splitlines(keepends=True),
                place,
            )
            exec(compile(cell.source, place, "exec"), namespace)


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prefixes", nargs="*", help="beginnings of names")
    parser.add_argument(
        "--check", action="store_true", help="run on few patches, keep nothing"
    )
    arguments = parser.parse_args()
    paths = [
        path.absolute()
        for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
        if path.name.startswith(tuple(arguments.prefixes or [""]))
    ]
    if not paths:
        parser.error(f"no notebook begins with {arguments.prefixes}")
    # The kernels inherit it: no notes about processors and missing GPUs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _few_patches() if arguments.check else contextlib.nullcontext():
        for path in paths:
            start = time.monotonic()
            if arguments.check:
                check(path)
            else:
                nbformat.write(execute(path), path)
            print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)


@contextlib.contextmanager
def _few_patches() -> Iterator[None]:
    """A folder with a tiny sample, in which a run has one epoch."""
    from ben_tf.training import trainer
    from tfrecords_builder import sample_data

    train = trainer.train

    def train_briefly(config: Config, path: pathlib.Path) -> pathlib.Path:
        return train(dataclasses.replace(config, epochs=1), path)

    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        mock.patch.object(trainer, "train", train_briefly),
    ):
        os.environ.pop("BEN_DATA_DIR", None)
        # Where the notebooks look for it.
        sample_data.make_sample_data("sample", num_pairs=_CHECK_PAIRS)
        yield


if __name__ == "__main__":
    main()
