"""Patches that a model was trained on must not be scored as if they were new.

The splits of v1.0 and v2.0 of BigEarthNet differ, and the patches of v2.0 are
patches of v1.0: a model trained on one version has seen much of what the other
one tests on.
"""

from collections.abc import Iterable

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.data import subsets


def version_of(dataset_name: str) -> str:
    """The version of BigEarthNet in a name of data.json or of TFDS.

    Weights that were imported are those of the paper's authors, who trained on
    v1.0.
    """
    parts = dataset_name.split("/")
    is_ours = parts[0] == bigearthnet.DATASET_NAME and len(parts) > 1
    return parts[1] if is_ours else "v1"


def num_shared(trained_on: str, scored_on: str, split: str) -> int:
    """How many training patches of one version a split of the other holds.

    Args:
      trained_on: Version of the training.
      scored_on: Version of the dataset to score on.
      split: TFDS split; of a part of a split the number is that of the whole.
    """
    shared = bigearthnet.SHARED_PATCHES.get((trained_on, scored_on), {})
    names = subsets.base_names(split)
    # "all" is TFDS's word for every split.
    return sum(
        number for name, number in shared.items() if names & {name, "all"}
    )


def check(trained_on: Iterable[str], scored_on: str, split: str) -> None:
    """Refuses to score a split that holds training patches.

    Args:
      trained_on: Names of the datasets of the training.
      scored_on: Version of the dataset to score on.
      split: TFDS split.

    Raises:
      errors.UserError: It holds some.
    """
    for version in sorted({version_of(name) for name in trained_on}):
        _check_version(version, scored_on, split)


def _check_version(trained_on: str, scored_on: str, split: str) -> None:
    if shared := num_shared(trained_on, scored_on, split):
        raise errors.UserError(
            f"The model was trained on {trained_on} of BigEarthNet, and up to "
            f"{shared:,} of its training patches are in split {split!r} of "
            f"{scored_on}, so that its scores there would say too much. Score "
            f"it on {trained_on}, or pass `allow_leakage`; then every page "
            "says so."
        )
