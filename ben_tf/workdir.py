"""The workdir: where the files of a run are, and its two descriptions."""

import csv
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import msgspec

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import files
from ben_tf import origin

# Fields that every version of this program has written to config.json.
_FIRST_FIELDS = frozenset(
    (
        "data_dir",
        "model",
        "modality",
        "fusion",
        "num_classes",
        "train_split",
        "validation_split",
        "batch_size",
        "epochs",
        "optimizer",
        "learning_rate",
        "schedule",
        "warmup_epochs",
        "augment",
        "shuffle_buffer",
        "preprocessing",
        "strategy",
        "jit_compile",
        "precision",
        "seed",
    )
)
# The column of history.csv that chooses whose weights are kept.
MONITOR = "val_macro_average_precision"
_REMEDY = (
    "Expected the file that python -m ben_tf.train wrote: bring it back from a "
    "copy, or train in a new `workdir`."
)
# The last column of history.csv.
_CHECKSUM = "crc32"
# Of a file about a split, whose conditions may name many labels.
_LONGEST_NAME = 100


class DataDescription(msgspec.Struct, frozen=True):
    """data.json: which dataset the run saw.

    Attributes:
      name: Full name of the dataset, such as "bigearthnet_mm/v1/1.0.0".
      synthetic: Whether its patches are synthetic, or some that the initial
        weights were trained on.
      patches: Split -> number of patches; empty for imported weights, which
        saw none of ours.
      fingerprint: Of the dataset's records; "" where nobody knew it yet.
      part: Which part of BigEarthNet the run saw; "" for all of it.
      origins: Names of other datasets that the initial weights were trained
        on.
    """

    name: str
    synthetic: bool
    patches: dict[str, int]
    fingerprint: str = ""
    part: str = ""
    origins: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all datasets that the weights were trained on."""
        return (self.name, *self.origins)

    def after(self, before: Sequence["DataDescription"]) -> "DataDescription":
        """What a run saw whose weights were trained on others before."""
        seen = {name for data in before for name in data.names}
        return msgspec.structs.replace(
            self,
            synthetic=self.synthetic or any(data.synthetic for data in before),
            origins=tuple(sorted(seen - {self.name})),
        )


@dataclasses.dataclass(frozen=True)
class Workdir:
    """The folder of a run; every file name in it stands here.

    Attributes:
      path: The folder; need not exist yet.
    """

    path: pathlib.Path

    def __init__(self, path: str | os.PathLike):
        object.__setattr__(self, "path", pathlib.Path(path))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def config_file(self) -> pathlib.Path:
        """The configuration; marks the folder as a run's."""
        return self.path / "config.json"

    @property
    def data_file(self) -> pathlib.Path:
        """The `DataDescription`."""
        return self.path / "data.json"

    @property
    def class_weights_file(self) -> pathlib.Path:
        """Weights of the class-weighted loss, counted once."""
        return self.path / "class_weights.json"

    @property
    def history_file(self) -> pathlib.Path:
        """Loss and metrics, a row an epoch."""
        return self.path / "history.csv"

    @property
    def not_finite_file(self) -> pathlib.Path:
        """The patches of the step whose loss was NaN or infinite."""
        return self.path / "not_finite.json"

    @property
    def logs(self) -> pathlib.Path:
        """TensorBoard's folder."""
        return self.path / "logs"

    @property
    def last_checkpoints(self) -> pathlib.Path:
        """Checkpoints from which the run resumes."""
        return self.path / "checkpoints" / "last"

    @property
    def best_checkpoints(self) -> pathlib.Path:
        """Weights of the best epoch."""
        return self.path / "checkpoints" / "best"

    @property
    def saved_model(self) -> pathlib.Path:
        """The exported model."""
        return self.export_folder("saved_model")

    def export_folder(self, kind: str) -> pathlib.Path:
        """An export of a kind: a format such as "onnx", or a server."""
        return self.path / kind

    @property
    def index(self) -> pathlib.Path:
        """The retrieval index whose answers the report shows."""
        return self.path / "index"

    @property
    def report(self) -> pathlib.Path:
        """The HTML page about the run."""
        return self.path / "report.html"

    def run_log_file(self, program: str) -> pathlib.Path:
        """What the run is called in a program that keeps records of runs."""
        return self.path / f"{program}.json"

    @property
    def marks(self) -> tuple[pathlib.Path, ...]:
        """Files of which a folder has at least one if a run was begun there."""
        return (self.config_file, self.data_file, self.history_file)

    @property
    def folders(self) -> tuple[pathlib.Path, ...]:
        """Folders of the run, in which no other run can be."""
        return (
            self.logs,
            self.last_checkpoints.parent,
            self.saved_model,
            self.index,
            self.metrics_file("").parent,
            self.predictions_file("").parent,
        )

    def metrics_file(self, split: str) -> pathlib.Path:
        """Scores on a split."""
        return self.path / "metrics" / f"{_file_name(split)}.json"

    def predictions_file(self, split: str) -> pathlib.Path:
        """Labels and probabilities of a split."""
        return self.path / "predictions" / f"{_file_name(split)}.npz"

    @property
    def was_scored(self) -> bool:
        """Whether there are scores on any split."""
        return any(self.path.glob("metrics/*.json"))

    def read_config(self) -> config_lib.Config:
        """Reads config.json; fields of later versions take their defaults.

        Raises:
          UserError: No such file, damaged, a field that is unknown or missing,
            or a bad value.
        """
        if not self.config_file.exists():
            raise errors.UserError(
                f"{self} is not the workdir of a training run: it has no "
                f"{self.config_file.name}. Train one with python -m "
                f"ben_tf.train --workdir={self}, or correct `workdir`."
            )
        # A dataclass would pass over fields that it does not have.
        values = files.read_json(
            self.config_file, dict[str, Any], remedy=_REMEDY
        )
        names = {field.name for field in dataclasses.fields(config_lib.Config)}
        if unknown := sorted(values.keys() - names):
            raise errors.UserError(
                f"{self.config_file} holds unknown fields {unknown}. Expected "
                f"{sorted(names)}."
            )
        config = files.read_json(
            self.config_file, config_lib.Config, remedy=_REMEDY
        )
        if missing := sorted(_FIRST_FIELDS - values.keys()):
            raise errors.UserError(
                f"{self.config_file} lacks the fields {missing}. {_REMEDY}"
            )
        return config

    def read_set_options(self) -> dict[str, object]:
        """What config.json sets to something else than its default.

        Raises:
          UserError: As `read_config`.
        """
        return dict(config_lib.differences_from_default(self.read_config()))

    def write_config(self, config: config_lib.Config) -> None:
        """Writes config.json, whole or not at all.

        Raises:
          UserError: The folder cannot be created or written.
        """
        self._write_json(self.config_file, config)

    @property
    def was_trained(self) -> bool:
        """Whether anything of a run would be lost with the folder.

        A try that failed before its first checkpoint leaves nothing of worth.
        """
        return (
            self.history_file.exists()
            or self.saved_model.exists()
            or any(self.path.glob("checkpoints/*/*"))
        )

    def check_same_run(self, config: config_lib.Config) -> None:
        """Refuses to resume in a workdir that was trained otherwise.

        Raises:
          UserError: A field differs that must not change during a run.
        """
        if not self.was_trained or not self.config_file.exists():
            return
        stored = self.read_config()
        differences = [
            f"`{field.name}` is {getattr(config, field.name)!r}, was "
            f"{getattr(stored, field.name)!r}"
            for field in dataclasses.fields(config_lib.Config)
            if not field.metadata["may_change"]
            and getattr(config, field.name) != getattr(stored, field.name)
        ]
        if differences:
            raise errors.UserError(
                f"The workdir {self} holds a run with another configuration: "
                f"{'; '.join(differences)}. Repeat its settings to resume it, "
                "or choose another `workdir`."
            )

    def read_data(self) -> DataDescription:
        """Reads data.json.

        Raises:
          UserError: No such file, or it is damaged.
        """
        return files.read_json(
            self.data_file,
            DataDescription,
            remedy=_REMEDY,
        )

    def check_same_data(self, data: DataDescription) -> None:
        """Refuses to resume on other records than the run was trained on.

        Raises:
          UserError: They differ, or the folder holds imported weights, which
            training would overwrite.
        """
        if not self.was_trained or not self.data_file.exists():
            return
        before = self.read_data()
        if not before.patches:
            raise errors.UserError(
                f"The workdir {self} holds imported weights, which training "
                "would overwrite. Choose another `workdir`, and begin there "
                f"with `initial_workdir={self}`."
            )
        if before.fingerprint not in ("", data.fingerprint):
            raise errors.UserError(
                f"The run in {self} was trained on other records than those "
                f"of `data_dir`: {before.name}, fingerprint "
                f"{origin.short(before.fingerprint)}. Received: {data.name}, "
                f"{origin.short(data.fingerprint)}. Bring those back to resume "
                "it, or choose another `workdir`."
            )

    def write_data(self, data: DataDescription) -> None:
        """Writes data.json.

        Raises:
          UserError: See `check_same_data`; or the folder cannot be written.
        """
        self.check_same_data(data)
        self._write_json(self.data_file, data)

    def read_history(self) -> list[dict[str, str]]:
        """Reads history.csv: column -> number as text, a row for each epoch.

        The column "epoch" holds whole numbers that rise; another may hold NaN
        or, where there is no number, "".

        Raises:
          UserError: The file is missing or damaged.
        """
        try:
            with self.history_file.open(newline="", encoding="utf-8") as file:
                lines = [line for line in csv.reader(file, strict=True) if line]
            rows = [_checked(row) for row in _rows(lines)]
            _check_history(rows)
            return rows
        except (csv.Error, OSError, ValueError) as error:
            raise errors.UserError(
                f"{self.history_file} cannot be read: "
                f"{errors.first_line(error)}. Expected a table of numbers as "
                "python -m ben_tf.train writes it: bring it back from a copy, "
                "or move it to another folder to go on without it."
            ) from error

    def write_history(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Writes history.csv, whole or not at all.

        Args:
          rows: Column -> number as text, for each epoch. One may lack a column
            or have one more, as those of another version.
        """
        names = dict.fromkeys(name for row in rows for name in row)
        whole = [{name: row.get(name, "") for name in names} for row in rows]
        content = io.StringIO(newline="")
        writer = csv.DictWriter(content, fieldnames=[*names, _CHECKSUM])
        writer.writeheader()
        writer.writerows(row | {_CHECKSUM: _checksum(row)} for row in whole)
        files.write(self.history_file, content.getvalue())

    def _write_json(self, path: pathlib.Path, value: Any) -> None:
        try:
            files.write_json(path, value)
        except OSError as error:
            raise errors.UserError(
                f"Cannot write to the workdir {self}: {error.strerror}. "
                "Expected a folder that can be created and written. Choose "
                "another `workdir`."
            ) from error


def default_options() -> dict[str, Any]:
    """What config.json holds where no option was given."""
    return msgspec.to_builtins(config_lib.Config())


def _rows(lines: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Raises ValueError unless all lines have the columns of the first."""
    if not lines:
        raise ValueError("it is empty")
    header, *rows = lines
    if not all(name and name.isprintable() for name in header):
        raise ValueError("a column has no name that can be shown")
    if "epoch" not in header or len(set(header)) < len(header):
        raise ValueError("expected one column of each name, and an epoch")
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"{len(row)} columns, expected {len(header)}")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _check_history(rows: Sequence[Mapping[str, str]]) -> None:
    """Raises ValueError unless the rows hold numbers, and epochs that rise."""
    last = 0
    for row in rows:
        for value in row.values():
            float(value or "nan")
        epoch = row["epoch"]
        if not re.fullmatch(r"[1-9][0-9]{0,8}", epoch) or int(epoch) <= last:
            raise ValueError(f"epoch {epoch!r} after {last}")
        last = int(epoch)


def _checksum(row: Mapping[str, str]) -> str:
    """Of names and values, so that it is the row's under this header alone."""
    text = "\n".join(map("=".join, row.items()))
    # No number, should its column lose its name.
    return f"0x{files.crc32(text.encode())}"


def _checked(row: dict[str, str]) -> dict[str, str]:
    """Takes its checksum off a row; an earlier version wrote none.

    Raises:
      ValueError: It is not the row's.
    """
    checksum = row.pop(_CHECKSUM, _checksum(row))
    if checksum != _checksum(row):
        raise ValueError(
            f"the row of epoch {row['epoch']} was changed after it was "
            "written: it has another CRC-32"
        )
    return row


def _file_name(split: str) -> str:
    """A name for files about a split: "test[:100]" becomes "test_100"."""
    text = split.replace("!=", " not ")
    name = "_".join("".join(c if c.isalnum() else " " for c in text).split())
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}_{files.crc32(name.encode())}"
    return name
