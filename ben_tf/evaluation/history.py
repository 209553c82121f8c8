"""history.csv: how a run learned, epoch by epoch."""

import csv
import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

from ben_tf import errors
from ben_tf import workdir as workdir_lib


@dataclasses.dataclass(frozen=True)
class History:
    """Loss and metrics of a run.

    Attributes:
      epochs: Numbers of the epochs, from 1.
      curves: "loss" or a metric, of training or with "val_" of validation ->
        a value for each epoch; NaN where there is none.
    """

    epochs: Sequence[int]
    curves: Mapping[str, Sequence[float]]

    @classmethod
    def read(cls, workdir: workdir_lib.Workdir) -> "History | None":
        """Reads history.csv; None where no epoch was trained.

        Raises:
          UserError: The file is damaged.
        """
        path = workdir.history_file
        if not path.is_file():
            return None
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file, strict=True))
            if not rows:
                return None
            curves = {
                name: [float(row[name] or "nan") for row in rows]
                for name in rows[0]
            }
            epochs = [int(number) for number in curves.pop("epoch")]
        # csv.Error and KeyError (no epochs) besides what float() raises.
        except (csv.Error, KeyError, TypeError, ValueError) as error:
            raise errors.UserError(
                f"{path} cannot be read: {errors.first_line(error)}. Expected "
                "a table of numbers as python -m ben_tf.train writes it; "
                "delete it to leave it out."
            ) from error
        return cls(epochs, curves)
