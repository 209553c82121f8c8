"""Which checkpoint of a folder counts, and what is said of a damaged one."""

import contextlib
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

import tensorflow as tf
from google.protobuf import message

from ben_tf import errors

_LIST = "checkpoint"
_NAME = re.compile(r"ckpt-(\d{1,9})")
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})")
_REMEDY = "Bring it back from a copy, or train in a new `workdir`."


class Damaged(errors.UserError):
    """A checkpoint, or a file of it, is missing or damaged.

    Attributes:
      what: The sentence that says so, without a way out.
    """

    def __init__(self, what: str):
        super().__init__(f"{what} {_REMEDY}")
        self.what = what


def newest_first(folder: pathlib.Path) -> list[str]:
    """The checkpoints of a folder, without endings; none: it has none.

    Those count that the file `checkpoint` names. Where it is damaged, or
    missing as after a kill between the first checkpoint and the list, all
    count that are there: a run must not begin anew and write over them. The
    index of a checkpoint is written last, so that one which has it is whole.

    Raises:
      Damaged: The list is damaged, and there is no checkpoint.
    """
    listed = folder / _LIST
    paths = _listed_paths(folder) or [
        folder / f"ckpt-{number}" for number in sorted(_numbers(folder))[::-1]
    ]
    if not paths and listed.exists():
        raise Damaged(
            f"{listed} is damaged, and there is no checkpoint beside it."
        )
    return [os.fspath(path) for path in paths]


def check_complete(path: str) -> None:
    """Refuses a checkpoint of which a file is missing.

    Raises:
      Damaged: One is.
    """
    if missing := _missing_file(pathlib.Path(path)):
        raise Damaged(f"{missing} is missing, a file of a checkpoint.")


def mend(folder: pathlib.Path) -> None:
    """Prepares a folder for the next checkpoint, before a run goes on.

    Removes what a process that was killed has written of one, or has not got
    round to deleting, and writes the list anew where it is missing or damaged,
    which TensorFlow would take for a folder without checkpoints.
    """
    for path in folder.glob("ckpt-*_temp*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(f"{_LIST}.tmp*"):
        path.unlink(missing_ok=True)
    listed = _listed_paths(folder)
    if listed and not any(map(_missing_file, listed)):
        for path in folder.glob("ckpt-*.*"):
            if path.with_suffix("") not in listed:
                path.unlink(missing_ok=True)
    paths = newest_first(folder)
    if paths and not listed:
        oldest_first = paths[::-1]
        tf.compat.v1.train.update_checkpoint_state(
            os.fspath(folder),
            paths[0],
            oldest_first,
            # Without times it would never delete them.
            all_model_checkpoint_timestamps=[
                os.path.getmtime(f"{path}.index") for path in oldest_first
            ],
            last_preserved_timestamp=0,
        )


def next_number(folder: pathlib.Path) -> int:
    """The number of the next checkpoint, above those that are there."""
    return max(_numbers(folder), default=0) + 1


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Says in one sentence why a checkpoint cannot be restored.

    Args:
      path: The checkpoint, without ending.

    Raises:
      Damaged: It is.
      UserError: It holds other variables.
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
        raise Damaged(
            f"The checkpoint {path} is damaged: {_reason(error, path)}."
        ) from error
    # Variables that are missing, and variables of another shape.
    except (AssertionError, ValueError) as error:
        raise errors.UserError(
            f"The checkpoint {path} does not fit the model or the "
            "optimiser. Expected one written by this version of the program, "
            "of TensorFlow and of TensorFlow Addons. Resume with the version "
            "that wrote it, or train in a new `workdir`."
        ) from error


def _listed_paths(folder: pathlib.Path) -> list[pathlib.Path]:
    """What the list names, the newest first; nothing if it is unusable."""
    if not (folder / _LIST).is_file():
        return []
    try:
        state = tf.train.get_checkpoint_state(os.fspath(folder))
    except (OSError, ValueError, tf.errors.OpError):
        return []
    if state is None or not state.model_checkpoint_path:
        return []
    others = list(state.all_model_checkpoint_paths)[::-1]
    paths = dict.fromkeys(
        map(pathlib.Path, (state.model_checkpoint_path, *others))
    )
    # TensorFlow deletes the oldest one that is named.
    is_ours = all(
        path.parent == folder and _NAME.fullmatch(path.name) for path in paths
    )
    return list(paths) if is_ours else []


def _numbers(folder: pathlib.Path) -> set[int]:
    """Of the checkpoints whose files are there."""
    return {
        int(found[1])
        for path in folder.glob("ckpt-*.index")
        if (found := _NAME.fullmatch(path.stem))
    }


def _missing_file(path: pathlib.Path) -> pathlib.Path | None:
    """A file of a checkpoint that is not there."""
    index = path.with_name(f"{path.name}.index")
    if not index.is_file():
        return index
    there = {
        (int(found[1]), int(found[2]))
        for file in path.parent.glob(f"{path.name}.data-*")
        if (found := _SHARD.fullmatch(file.name.removeprefix(path.name)))
        and file.is_file()
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
