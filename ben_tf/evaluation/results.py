"""What an evaluation found: one typed value, kept in metrics/<split>.json."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf import origin as origin_lib
from ben_tf import workdir as workdir_lib

Value = float | None  # None: undefined, such as the recall of an absent class.
Interval = tuple[Value, Value]  # Lower and upper end.
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

# Metrics that pages and tables look up; there are more.
OVERALL = (
    "sample_f2",
    "sample_recall",
    "hamming_loss",
    "one_error",
    "macro_f2",
    "macro_f1",
    "micro_f1",
    "macro_average_precision",
    "micro_average_precision",
)
PER_CLASS = (
    "precision",
    "recall",
    "f1",
    "f2",
    "average_precision",
    "num_positives",
)


class Model(msgspec.Struct, frozen=True, omit_defaults=True):
    """The model that was scored.

    Attributes:
      name: Its architecture.
      modality: "S1", "S2" or "MM".
      fingerprint: SHA-256 of its weights.
      trained_on_synthetic: Whether its training patches were synthetic.
      trained_on: Name of the dataset of its training; "" in files of before.
      trained_on_part: Which part of BigEarthNet it saw; "" for all of it.
      origins: Names of other datasets that its initial weights were trained
        on.
      epoch: Epoch of its weights; 0 where nobody knows.
      num_parameters: How many numbers its weights are; 0 in files of before.
    """

    name: str
    modality: str
    fingerprint: str
    trained_on_synthetic: bool
    trained_on: str = ""
    trained_on_part: str = ""
    origins: tuple[str, ...] = ()
    epoch: _Count = 0
    num_parameters: _Count = 0


class Data(msgspec.Struct, frozen=True, omit_defaults=True):
    """The dataset that it was scored on.

    Attributes:
      name: Full name, such as "bigearthnet_mm/v1/1.0.0".
      synthetic: Whether its patches are synthetic.
      split_sizes: Split -> number of patches.
      fingerprint: SHA-256 of names and labels of the scored patches.
      part: Which part of BigEarthNet it holds; "" for all of it.
      records: Fingerprint of all its records; "" in files of before.
    """

    name: str
    synthetic: bool
    split_sizes: dict[str, _Count]
    fingerprint: str
    part: str = ""
    records: str = ""


class Intervals(msgspec.Struct, frozen=True, omit_defaults=True):
    """95 % bootstrap intervals; see `metrics.intervals`."""

    sample_recall: Interval
    sample_f1: Interval
    sample_f2: Interval
    hamming_loss: Interval
    one_error: Interval
    macro_f1: Interval
    macro_f2: Interval
    micro_f1: Interval
    micro_f2: Interval
    per_class_f2: list[Interval]
    # Files of before lack these.
    macro_average_precision: Interval = (None, None)
    micro_average_precision: Interval = (None, None)


class Group(msgspec.Struct, frozen=True):
    """Scores of a part of the patches, such as those of one country."""

    num_samples: _Count
    sample_recall: Value
    sample_f2: Value
    hamming_loss: Value
    one_error: Value
    macro_f1: Value
    macro_f2: Value
    micro_f1: Value


class Calibration(msgspec.Struct, frozen=True):
    """See `metrics.calibration.Reliability`; None: an empty bin."""

    expected_calibration_error: _Share
    mean_probability: list[Value]
    fraction_present: list[Value]
    num_pairs: list[_Count]


class Tuned(msgspec.Struct, frozen=True):
    """Scores with a threshold of its own for each class.

    Attributes:
      chosen_on: The split that the thresholds were chosen on.
      thresholds: One for each class.
      overall: As in `Evaluation`.
      per_class: As in `Evaluation`.
      undefined: As in `Evaluation`.
    """

    chosen_on: str
    thresholds: list[_Share]
    overall: dict[str, Value]
    per_class: dict[str, list[Value]]
    undefined: dict[str, _Count]


class Evaluation(msgspec.Struct, frozen=True, omit_defaults=True):
    """All scores of a model on a split.

    Attributes:
      split: TFDS split.
      num_samples: Its number of patches.
      class_names: Names of the classes, in the order of all lists.
      model: What was scored.
      data: What it was scored on.
      threshold: A class is predicted at a probability of at least this.
      overall: Metric -> value, the keys of `metrics.exact.Scores.overall`.
      per_class: Metric -> value for each class.
      undefined: Metric -> number of patches (macro_*: classes) that its
        average leaves out because the value is undefined there.
      intervals_95: How far scores move with the choice of patches.
      groups: Kind of group, such as "country" -> group -> its scores.
      calibration: How far probabilities can be taken at their word.
      tuned: Scores with tuned thresholds, if they were asked for.
      origin: When and with what; None in files of before.
    """

    split: str
    num_samples: _Count
    class_names: list[str]
    model: Model
    data: Data
    threshold: _Share
    overall: dict[str, Value]
    per_class: dict[str, list[Value]]
    undefined: dict[str, _Count]
    intervals_95: Intervals
    groups: dict[str, dict[str, Group]]
    calibration: Calibration
    tuned: Tuned | None = None
    origin: origin_lib.Origin | None = None

    @property
    def is_synthetic(self) -> bool:
        """Whether synthetic patches were scored or trained on."""
        return self.data.synthetic or self.model.trained_on_synthetic

    @classmethod
    def read(cls, workdir: workdir_lib.Workdir, split: str) -> "Evaluation":
        """Reads what `write` wrote.

        Raises:
          UserError: The run was not evaluated on this split, or the file is
            damaged or from another version.
        """
        path = workdir.metrics_file(split)
        remedy = (
            "Write it with python -m ben_tf.evaluate "
            f"--workdir={workdir} --data_dir=... --split={split}"
        )
        evaluation = files.read_json(path, cls, remedy=remedy)
        if fault := _fault(evaluation):
            raise errors.UserError(f"{path} is damaged: {fault}. {remedy}")
        if workdir.metrics_file(evaluation.split) != path:
            raise errors.UserError(
                f"{path} holds the scores of another split: "
                f"{evaluation.split!r}. {remedy}"
            )
        return evaluation

    def write(self, workdir: workdir_lib.Workdir) -> None:
        """Writes metrics/<split>.json, whole or not at all."""
        files.write_json(workdir.metrics_file(self.split), self)


def _fault(evaluation: Evaluation) -> str | None:
    """What those who show an evaluation would stumble over."""
    num_classes = len(set(evaluation.class_names))
    tuned, calibration = evaluation.tuned, evaluation.calibration
    # All that must have a value for each class.
    lists: dict[str, Sequence[object]] = {
        "class_names": evaluation.class_names,
        "per_class_f2": evaluation.intervals_95.per_class_f2,
        **evaluation.per_class,
    }
    overall, per_class = evaluation.overall.keys(), evaluation.per_class.keys()
    missing = {*OVERALL} - overall | {*PER_CLASS} - per_class
    if tuned is not None:
        lists["thresholds"] = tuned.thresholds
        lists |= {f"{name}, tuned": x for name, x in tuned.per_class.items()}
        missing |= overall - tuned.overall.keys()
        missing |= per_class - tuned.per_class.keys()
    if missing:
        return f"it lacks {', '.join(sorted(missing))}"
    for name, values in lists.items():
        if len(values) != num_classes:
            return f"`{name}` has {len(values)} values of {num_classes} classes"
    if evaluation.model.modality not in bigearthnet.MODALITIES:
        return f"unknown modality {evaluation.model.modality!r}"
    num_bins = len(calibration.num_pairs)
    for values in (calibration.mean_probability, calibration.fraction_present):
        if not num_bins or len(values) != num_bins:
            return f"`calibration` has {len(values)} values of {num_bins} bins"
    return None
