"""Runs the notebooks from top to bottom; the first error ends it.

    python notebooks/execute.py            # all, and keeps what they show
    python notebooks/execute.py --check    # all, and changes no file
    python notebooks/execute.py 02 07      # those whose names begin so

`BEN_DATA_DIR=/path/to/data` in front runs them on that dataset instead of the
synthetic sample. Runs that are trained are kept in notebooks/runs and gone on
with; delete the folder to train them anew.
"""

import argparse
import os
import pathlib
import time

import nbclient
import nbformat

FOLDER = pathlib.Path(__file__).parent
# A cell that trains on the real archive takes as long as it takes.
_NO_LIMIT = None


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


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prefixes", nargs="*", help="beginnings of names")
    parser.add_argument(
        "--check", action="store_true", help="leave the files as they are"
    )
    arguments = parser.parse_args()
    paths = [
        path
        for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
        if path.name.startswith(tuple(arguments.prefixes or [""]))
    ]
    if not paths:
        parser.error(f"no notebook begins with {arguments.prefixes}")
    # The kernels inherit it: no notes about processors and missing GPUs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for path in paths:
        start = time.monotonic()
        notebook = execute(path)
        if not arguments.check:
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
