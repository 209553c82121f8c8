"""history.csv: how a run learned, epoch by epoch."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

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

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept: the first with the highest score.

        The first one of all if no score is a number; 0 without scores.
        """
        if workdir_lib.MONITOR not in self.curves:
            return 0
        scores = np.array(self.curves[workdir_lib.MONITOR], np.float64)
        scores[np.isnan(scores)] = -np.inf
        return self.epochs[int(scores.argmax())]

    @property
    def best_score(self) -> float | None:
        """The score of that epoch; None where it is no number."""
        if not self.best_epoch:
            return None
        scores = self.curves[workdir_lib.MONITOR]
        score = scores[self.epochs.index(self.best_epoch)]
        return None if np.isnan(score) else score

    @classmethod
    def read(cls, workdir: workdir_lib.Workdir) -> "History | None":
        """Reads history.csv; None where no epoch was trained.

        Raises:
          UserError: The file is damaged.
        """
        if not workdir.history_file.is_file():
            return None
        rows = workdir.read_history()
        if not rows:
            return None
        curves = {
            name: [float(row[name] or "nan") for row in rows]
            for name in rows[0]
        }
        return cls([int(number) for number in curves.pop("epoch")], curves)
