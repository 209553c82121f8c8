"""The flags that name a part of the archive."""

from collections.abc import Callable

from absl import flags

from ben_tf import bigearthnet
from ben_tf import path_flags
from ben_tf.archive import parts

# --help lists them with the command that asks for them.
flags.disclaim_key_flags()

NAMES = ("countries", "seasons", "splits", "labels", "patches", "max_pairs")


def define() -> Callable[[str, str], parts.Part]:
    """Defines the flags; returns (version, place) -> what they name.

    The place is the folder of the archive, or the table of own patches.
    """
    countries = flags.DEFINE_list(
        "countries",
        [],
        f"Only these countries: {', '.join(bigearthnet.COUNTRIES)}.",
    )
    seasons = flags.DEFINE_list(
        "seasons", [], f"Only these seasons: {', '.join(bigearthnet.SEASONS)}."
    )
    splits = flags.DEFINE_list(
        "splits",
        [],
        f"Only these splits: {', '.join(bigearthnet.SPLIT_SIZES)}.",
    )
    # Names of classes hold commas.
    labels = flags.DEFINE_multi_string(
        "labels",
        [],
        "Only pairs with this label, of the 19 or the 43 classes; given more "
        "than once: with one of them.",
    )
    patches = path_flags.define_path(
        "patches",
        None,
        "Only the patches that this text file names, one a line.",
    )
    max_pairs = flags.DEFINE_integer(
        "max_pairs",
        None,
        "At most so many pairs, each split with its share; always the same.",
        lower_bound=1,
    )

    def make(version: str, archive_dir: str) -> parts.Part:
        names = None
        if patches.value:
            # Here, because the lists take seconds to read.
            from ben_tf.archive import known_pairs

            names = parts.read_names(
                patches.value, known_pairs.read(version, archive_dir)
            )
        return parts.Part(
            countries=tuple(countries.value),
            seasons=tuple(seasons.value),
            splits=tuple(splits.value),
            labels=tuple(labels.value),
            patches=names,
            max_pairs=max_pairs.value,
        )

    return make
