r"""Means, deviations, extremes and percentiles of the bands of a built split.

    python -m ben_tf.statistics --data_dir=data --split=train \
        --output=statistics.json

One pass over the records, exact in all digits: each value is counted.
`python -m ben_tf.train --statistics=statistics.json` standardises with them.
"""

from collections.abc import Callable

from absl import flags

from ben_tf import band_statistics
from ben_tf import command_line
from ben_tf import files
from ben_tf import path_flags


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    data_dir = path_flags.define_path(
        "data_dir",
        None,
        "Folder with the TFRecords that tfrecords_builder.build wrote.",
        required=True,
    )
    output = path_flags.define_path(
        "output", None, "JSON file to write.", required=True
    )
    split = flags.DEFINE_string(
        "split",
        "train",
        "What to read: train, validation, test, excluded, or a part of one "
        "such as 'train[:10%]' or 'train[season=Summer]'. A model is trained "
        "with those of its training split.",
    )

    def main() -> None:
        files.check_writable(output.value)
        command_line.import_tensorflow()
        import tabulate

        from ben_tf.data import built_dataset
        from ben_tf.data import histograms

        builder = built_dataset.open_dataset(data_dir.value)
        found = histograms.of_split(builder, split.value)
        band_statistics.write(output.value, found)
        print(
            tabulate.tabulate(
                [
                    [
                        name,
                        band.mean,
                        band.std,
                        band.minimum,
                        *(band.percentiles[x] for x in ("1", "50", "99")),
                        band.maximum,
                    ]
                    for name, band in sorted(found.bands.items())
                ],
                headers=[
                    "",
                    "mean",
                    "std",
                    "min",
                    "1 %",
                    "50 %",
                    "99 %",
                    "max",
                ],
                floatfmt=".2f",
            )
        )
        print(f"Statistics of {found.name} are in {output.value}")

    return main


if __name__ == "__main__":
    command_line.run(command)
