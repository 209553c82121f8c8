"""Which checkpoint of a folder counts, and what is said of a damaged one."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

import tensorflow as tf
from google.protobuf import message

from ben_tf import errors

_LIST = "checkpoint"
_NAME = re.compile(r"ckpt-(\d{1,9})")
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})")
_REMEDY = "Bring it back from a copy, or train in a new `workdir`."


def latest(folder: pathlib.Path) -> str | None:
    """The newest checkpoint of a folder, without ending; None: it has none.

    A checkpoint counts once the file `checkpoint` names it. That file is
    replaced in one step, so it is damaged only by others: a run must not begin
    anew then, and write over the checkpoints that are there.

    Raises:
      UserError: The list is damaged, or a file of the newest checkpoint is
        missing.
    """
    listed = folder / _LIST
    if not listed.exists():
        # A run may be killed between its first checkpoint and the list.
        if _newest_number(folder) <= 1:
            return None
        raise _unusable_list(listed, "missing")
    paths = _listed_paths(folder)
    if not paths or not all(
        path.parent == folder and _NAME.fullmatch(path.name) for path in paths
    ):
        raise _unusable_list(listed, "damaged")
    newest_path = paths[0]
    if missing := _missing_file(newest_path):
        raise errors.UserError(
            f"{missing} is missing, a file of the newest checkpoint. {_REMEDY}"
        )
    return os.fspath(newest_path)


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Says in one sentence why a checkpoint cannot be restored.

    Args:
      path: The checkpoint, without ending.

    Raises:
      UserError: It is damaged, or holds other variables.
    """
    try:
        yield
    except (
        # A checksum that is wrong, a file that is cut off, a tensor that is
        # not there, a description of the objects that is none.
        tf.errors.OpError,
        LookupError,
        OSError,
        RuntimeError,
        UnicodeError,
        message.Error,
    ) as error:
        raise errors.UserError(
            f"The checkpoint {path} is damaged: {_reason(error, path)}. "
            f"{_REMEDY}"
        ) from error
    # Variables that are missing, and variables of another shape.
    except (AssertionError, ValueError) as error:
        raise errors.UserError(
            f"The checkpoint {path} does not fit the model or the "
            "optimiser. Expected one written by this version of the program, "
            "of TensorFlow and of TensorFlow Addons. Resume with the version "
            "that wrote it, or train in a new `workdir`."
        ) from error


def _unusable_list(listed: pathlib.Path, what: str) -> errors.UserError:
    newest = _newest_number(listed.parent)
    line = f'model_checkpoint_path: "ckpt-{newest}"'
    return errors.UserError(
        f"{listed} is {what}. Expected the list of the checkpoints beside it. "
        + (
            f"Bring it back from a copy, or write this line into it: {line}"
            if newest
            else _REMEDY
        )
    )


def _listed_paths(folder: pathlib.Path) -> list[pathlib.Path]:
    """What the list names, the newest first; nothing if it cannot be read."""
    try:
        state = tf.train.get_checkpoint_state(os.fspath(folder))
    except (OSError, ValueError, tf.errors.OpError):
        return []
    if state is None or not state.model_checkpoint_path:
        return []
    others = state.all_model_checkpoint_paths
    return [*map(pathlib.Path, (state.model_checkpoint_path, *others))]


def _newest_number(folder: pathlib.Path) -> int:
    """Of the checkpoints whose files are there; 0 without any."""
    numbers = [
        int(found[1])
        for path in folder.glob("ckpt-*.index")
        if (found := _NAME.fullmatch(path.stem))
    ]
    return max(numbers, default=0)


def _missing_file(path: pathlib.Path) -> pathlib.Path | None:
    """A file of a checkpoint that is not there."""
    index = path.with_name(f"{path.name}.index")
    if not index.is_file():
        return index
    there = {
        (int(found[1]), int(found[2]))
        for file in path.parent.glob(f"{path.name}.data-*")
        if (found := _SHARD.fullmatch(file.name.removeprefix(path.name)))
    }
    number = max((number for _, number in there), default=1)
    for shard in range(number):
        if (shard, number) not in there:
            name = f"{path.name}.data-{shard:05}-of-{number:05}"
            return path.with_name(name)
    return None


def _reason(error: Exception, path: str) -> str:
    """What TensorFlow says, without where in its graph."""
    text = re.sub(r"\{\{.*?\}\} ?|\[Op:\w+\]", "", str(error))
    text = text.replace(f"TensorBundle at {path} ", "").strip()
    return text.partition("\n")[0][:200].rstrip(". ") or type(error).__name__
