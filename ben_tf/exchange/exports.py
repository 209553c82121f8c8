"""Writes the folder of an export: the model, its card, what a server needs."""

import dataclasses
import os
import pathlib
import re
import shutil

from ben_tf import errors
from ben_tf import files
from ben_tf import saved_model as saved_model_lib
from ben_tf import workdir as workdir_lib
from ben_tf.cards import model_card
from ben_tf.evaluation import card_scores
from ben_tf.exchange import onnx
from ben_tf.exchange import tensorflow_serving
from ben_tf.exchange import tflite
from ben_tf.exchange import triton

# Server -> the formats that it runs.
SERVERS = {
    "tensorflow_serving": ("saved_model",),
    "triton": ("saved_model", "onnx"),
}

# It becomes the name of a folder, and what a client asks a server for.
_NAME = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)
# A line of the card; by it a folder is known that an export may replace.
_MARK = "| exported by | ben_tf "
_MAX_CARD_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Target:
    """What to write and where.

    Attributes:
      folder: The folder to write; an export there is replaced at the end.
      model_format: "saved_model", "onnx" or "tflite".
      server: One of `SERVERS`, whose layout the folder gets; None: none.
    """

    folder: pathlib.Path
    model_format: str
    server: str | None = None

    def check(self) -> None:
        """Fails now as `write` would fail after minutes of work.

        Raises:
          UserError: The server does not run the format, a package is missing,
            or the folder holds something else.
          OSError: The folder cannot be written.
        """
        if self.server and self.model_format not in SERVERS[self.server]:
            raise errors.UserError(
                f"`serving={self.server}` does not run "
                f"`format={self.model_format}`. Expected "
                f"{' or '.join(SERVERS[self.server])}."
            )
        if self.model_format == "onnx":
            onnx.packages()
        if not _may_be_replaced(self.folder):
            raise errors.UserError(
                f"{self.folder} exists and holds no export that could be "
                "replaced. Expected a new or an empty folder. Choose another "
                "`output`."
            )
        files.check_writable(self.folder.absolute().parent, is_folder=True)

    def model_path(self, name: str) -> pathlib.PurePath:
        """Where in the folder the model is.

        Args:
          name: Of the model.
        """
        if self.server == "tensorflow_serving":
            return tensorflow_serving.model_path(name)
        if self.server == "triton":
            return triton.model_path(name, self.model_format)
        if self.model_format == "saved_model":
            return pathlib.PurePath()
        return pathlib.PurePath(f"model.{self.model_format}")


@dataclasses.dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
      path: The folder.
      difference: The largest difference of a conversion from the SavedModel;
        see `network.check_conversion`. None: nothing was converted.
    """

    path: pathlib.Path
    difference: float | None


def write(
    saved_model: str | os.PathLike,
    target: Target,
    *,
    workdir: workdir_lib.Workdir,
) -> Export:
    """Writes a model in a format, whole or not at all.

    Args:
      saved_model: Folder of the SavedModel.
      target: What to write.
      workdir: The run, whose scores the card shows.

    Raises:
      UserError: See `Target.check`; or the model has a name that is none, the
        converted model gives other answers, or a file of scores is damaged.
    """
    target.check()
    served = saved_model_lib.load(saved_model)
    if not _NAME.fullmatch(served.model):
        raise errors.UserError(
            f"The SavedModel in {saved_model} calls its network "
            f"{served.model[:80]!r}. Expected letters, digits, hyphens and "
            "underscores. Export it again with python -m ben_tf.export."
        )
    scores = card_scores.read(workdir, served)
    path = target.model_path(served.model)
    difference = None
    with files.replacing_folder(target.folder) as part:
        if target.model_format == "saved_model":
            # Its card knows nothing of scores; the one below does.
            shutil.copytree(
                saved_model,
                part / path,
                ignore=shutil.ignore_patterns(model_card.FILE_NAME),
            )
        elif target.model_format == "onnx":
            difference = onnx.write(served, part / path)
        else:
            difference = tflite.write(served, part / path)
        if target.server == "tensorflow_serving":
            tensorflow_serving.write(served, part)
        elif target.server == "triton":
            triton.write(served, part, model_format=target.model_format)
        files.write(
            part / model_card.FILE_NAME,
            model_card.render(
                served,
                num_parameters=served.num_parameters,
                scores=scores,
                model_format=target.model_format,
                path=path,
                input_dtype=tflite.INPUT_DTYPE
                if target.model_format == "tflite"
                else None,
            ),
        )
    return Export(target.folder, difference)


def _may_be_replaced(output: pathlib.Path) -> bool:
    if not output.is_dir():
        return not output.exists()
    if not any(output.iterdir()) or (output / "saved_model.pb").is_file():
        return True
    try:
        with open(
            output / model_card.FILE_NAME, "rb", opener=files.regular
        ) as file:
            return _MARK.encode() in file.read(_MAX_CARD_BYTES)
    except OSError:
        return False
