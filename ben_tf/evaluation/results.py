"""What an evaluation found: one typed value, kept in metrics/<split>.json."""

import msgspec

from ben_tf import files
from ben_tf import workdir as workdir_lib

Value = float | None  # None: undefined, such as the recall of an absent class.
Interval = tuple[Value, Value]  # Lower and upper end.


class Model(msgspec.Struct, frozen=True):
    """The model that was scored.

    Attributes:
      name: Its architecture.
      modality: "S1", "S2" or "MM".
      fingerprint: SHA-256 of its weights.
      trained_on_synthetic: Whether its training patches were synthetic.
    """

    name: str
    modality: str
    fingerprint: str
    trained_on_synthetic: bool


class Data(msgspec.Struct, frozen=True):
    """The dataset that it was scored on.

    Attributes:
      name: Full name, such as "bigearthnet_mm/v1/1.0.0".
      synthetic: Whether its patches are synthetic.
      split_sizes: Split -> number of patches.
      fingerprint: SHA-256 of names and labels of the scored patches.
    """

    name: str
    synthetic: bool
    split_sizes: dict[str, int]
    fingerprint: str


class Intervals(msgspec.Struct, frozen=True):
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


class Group(msgspec.Struct, frozen=True):
    """Scores of a part of the patches, such as those of one country."""

    num_samples: int
    sample_recall: Value
    sample_f2: Value
    hamming_loss: Value
    one_error: Value
    macro_f1: Value
    macro_f2: Value
    micro_f1: Value


class Calibration(msgspec.Struct, frozen=True):
    """See `metrics.calibration.Reliability`; None: an empty bin."""

    expected_calibration_error: float
    mean_probability: list[Value]
    fraction_present: list[Value]
    num_pairs: list[int]


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
    thresholds: list[float]
    overall: dict[str, Value]
    per_class: dict[str, list[Value]]
    undefined: dict[str, int]


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
    """

    split: str
    num_samples: int
    class_names: list[str]
    model: Model
    data: Data
    threshold: float
    overall: dict[str, Value]
    per_class: dict[str, list[Value]]
    undefined: dict[str, int]
    intervals_95: Intervals
    groups: dict[str, dict[str, Group]]
    calibration: Calibration
    tuned: Tuned | None = None

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
        return files.read_json(
            workdir.metrics_file(split),
            cls,
            remedy=(
                "Write it with python -m ben_tf.evaluate "
                f"--workdir={workdir} --data_dir=... --split={split}"
            ),
        )

    def write(self, workdir: workdir_lib.Workdir) -> None:
        """Writes metrics/<split>.json, whole or not at all."""
        files.write_json(workdir.metrics_file(self.split), self)
