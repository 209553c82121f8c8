"""The statistics of a dataset as a file: bands, extremes and percentiles.

`python -m ben_tf.statistics` writes such a file, `--statistics=FILE` of
`ben_tf.train` reads it.
"""

import os
import pathlib

import msgspec

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files

_REMEDY = "Expected what python -m ben_tf.statistics wrote."


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All values of a band; S2 in reflectance x 10,000, S1 in dB.

    Attributes:
      count: Number of values.
      mean: Their mean.
      std: Their standard deviation (of the whole, divided by `count`).
      minimum: The smallest.
      maximum: The largest.
      percentiles: "2.5" -> value that 2.5 % of all lie below, interpolated as
        by `numpy.percentile`.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    percentiles: dict[str, float]


class DatasetStatistics(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True
):
    """The content of a file.

    Attributes:
      dataset: Name of the dataset, config and version.
      split: TFDS split that was read.
      part: Which part of the archive the dataset is; empty: all.
      synthetic: Whether its pixels are synthetic.
      patches: How many were read.
      bands: Band -> its statistics.
    """

    dataset: str
    split: str
    part: str
    synthetic: bool
    patches: int
    bands: dict[str, Band]

    @property
    def name(self) -> str:
        """Whose statistics these are, in words."""
        words = [f"{self.split!r} of {self.dataset}", f"{self.patches} patches"]
        if self.part:
            words.append(f"a part: {self.part}")
        if self.synthetic:
            words.append("SYNTHETIC")
        return ", ".join(words)


def write(path: str | os.PathLike, content: DatasetStatistics) -> pathlib.Path:
    """Writes the file, whole or not at all."""
    return files.write_json(path, content)


def find(name: str) -> bigearthnet.Statistics:
    """What `--statistics` names.

    Args:
      name: One of `bigearthnet.STATISTICS`, or a file.

    Raises:
      errors.UserError: The file is missing or damaged, or a band is missing or
        cannot be standardised, as one whose values are all the same.
    """
    if name in bigearthnet.STATISTICS:
        return bigearthnet.STATISTICS[name]
    known = ", ".join(bigearthnet.STATISTICS)
    read = files.read_json(
        name,
        DatasetStatistics,
        remedy=f"{_REMEDY} Or pass one of: {known}.",
    )
    name_of_all = read.name
    mean = {band: values.mean for band, values in read.bands.items()}
    std = {band: values.std for band, values in read.bands.items()}
    # Own data may have one sensor; what looks at the other is refused then.
    for sensor, bands in bigearthnet.BANDS.items():
        if read.bands and not read.bands.keys() & bands:
            name_of_all += f", {sensor} as in the paper"
            paper = bigearthnet.PAPER_STATISTICS
            mean |= {band: paper.mean[band] for band in bands}
            std |= {band: paper.std[band] for band in bands}
    try:
        return bigearthnet.Statistics(name_of_all, mean=mean, std=std)
    except ValueError as error:
        raise errors.UserError(
            f"{name} cannot be used: {errors.first_line(error)}. {_REMEDY}"
        ) from error
