"""Makes the report that docs/examples.md shows.

    python docs/make_example.py

The stages of the quickstart on fewer pairs, most of them SYNTHETIC, in
build/example: half a minute on two cores, and less where a run is there.
"""

import contextlib
import pathlib
import shutil

from ben_tf import quickstart

FOLDER = pathlib.Path(__file__).parent.parent / "build" / "example"
_PAGE = FOLDER / "pages" / "example_report.html"
_NUM_PAIRS = 240


def main() -> None:
    """Makes it and says where it is."""
    _PAGE.parent.mkdir(parents=True, exist_ok=True)
    # The page names no folder of the machine that made it.
    with contextlib.chdir(FOLDER):
        report = quickstart.quickstart("run", num_pairs=_NUM_PAIRS)
        shutil.copyfile(report, _PAGE)
    print(f"The example report is {_PAGE}")


if __name__ == "__main__":
    main()
