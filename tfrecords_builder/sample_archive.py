r"""Writes a small archive in the official layout, real and synthetic.

    python -m tfrecords_builder.sample_archive \
        --output_dir=sample --num_pairs=1000

The first six pairs are the real ones that bigearthnet-common ships, copied
byte for byte; with --version=v2 none is real. The others have SYNTHETIC pixels
and labels under real names, drawn from the official lists so that every split,
country and season occurs, with the true footprint of that name. `signatures.py`
documents the designed signal. Scores on this archive say nothing about
BigEarthNet; a file SYNTHETIC.txt in the archive says so, and everything built
from it inherits the mark.
"""

from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import path_flags
from ben_tf.archive import layout


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    output_dir = path_flags.define_path(
        "output_dir",
        None,
        "New or empty folder for the archive.",
        required=True,
    )
    num_pairs = flags.DEFINE_integer(
        "num_pairs",
        1000,
        "Number of patch pairs, the six real ones included. A pair takes "
        "0.35 MB.",
        lower_bound=6,
    )
    version = flags.DEFINE_enum(
        "version",
        layout.V1.version,
        layout.OFFICIAL,
        "Version of BigEarthNet whose layout to write.",
    )
    seed = flags.DEFINE_integer("seed", 0, "Same seed, same archive.")

    def main() -> None:
        # Here, because rasterio takes long to import.
        from tfrecords_builder import sample_writer

        folder = sample_writer.write_sample_archive(
            output_dir.value,
            num_pairs=num_pairs.value,
            seed=seed.value,
            version=version.value,
        )
        print(f"Wrote {num_pairs.value} pairs to {folder}")

    return main


if __name__ == "__main__":
    command_line.run(command)
