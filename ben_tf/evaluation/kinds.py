"""Which scores may stand in one table: those of the same kind."""

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping
from typing import TypeVar

from ben_tf import bigearthnet
from ben_tf import workdir as workdir_lib
from ben_tf.data import leakage
from ben_tf.evaluation import published as published_lib
from ben_tf.evaluation import results

Value = TypeVar("Value")

# Field of `Kind` -> why scores do not compare where it differs.
_REASONS = {
    "class_names": "averages over other classes are of other labels",
    "version": "versions of BigEarthNet differ in splits and labels",
    "part": "parts of BigEarthNet hold other patches",
    "synthetic": "synthetic patches say nothing about real ones",
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What must be the same for scores to compare.

    Attributes:
      class_names: Classes of the nomenclature.
      version: Of BigEarthNet: "v1" or "v2".
      part: Which part of it the dataset holds; "" for all of it.
      synthetic: Whether synthetic patches took part.
    """

    class_names: tuple[str, ...]
    version: str
    part: str
    synthetic: bool

    def __str__(self) -> str:
        return ", ".join(
            [
                f"{len(self.class_names)} classes",
                self.version,
                *([f"a part: {self.part}"] if self.part else []),
                *(["synthetic data"] if self.synthetic else []),
            ]
        )


def of_evaluation(evaluation: results.Evaluation) -> Kind:
    """The kind of an evaluation's scores."""
    return Kind(
        tuple(evaluation.class_names),
        leakage.version_of(evaluation.data.name),
        evaluation.data.part,
        evaluation.is_synthetic,
    )


def of_training(num_classes: int, data: workdir_lib.DataDescription) -> Kind:
    """The kind of the scores that a run's training validated with."""
    return Kind(
        tuple(bigearthnet.CLASSES[num_classes]),
        leakage.version_of(data.name),
        data.part,
        data.synthetic,
    )


def of_published(published: published_lib.Published) -> Kind:
    """The kind of published scores."""
    return Kind(
        tuple(bigearthnet.CLASSES[published.num_classes]),
        published.config,
        part="",
        synthetic=False,
    )


def grouped(
    values: Mapping[str, Value], kind_of: Mapping[str, Kind]
) -> dict[Kind, dict[str, Value]]:
    """Kind -> those values of it, by name; kinds in the order they appear."""
    groups: dict[Kind, dict[str, Value]] = {}
    for name, value in values.items():
        groups.setdefault(kind_of[name], {})[name] = value
    return groups


def reasons(found: Collection[Kind]) -> list[str]:
    """Why these kinds do not compare; empty where there is only one."""
    return [
        reason
        for name, reason in _REASONS.items()
        if len({getattr(kind, name) for kind in found}) > 1
    ]
