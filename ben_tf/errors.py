"""Errors that a user can mend, in one sentence each. Standard library only."""

from collections.abc import Iterable


class UserError(ValueError):
    """An error that the user can mend.

    The message says in one or two sentences what happened, what was expected
    and how to fix it. It names arguments in backticks, `batch_size` or
    `fusion=late`; commands show them as the flags --batch_size and
    --fusion=late, print the message without a traceback and exit with 1.
    """


class ArchiveError(UserError):
    """A file or folder of the archive is missing, damaged or inconsistent.

    Attributes:
      place: The patch, file or tar member, as a path below the archive folder.
      reason: A sentence without its subject: "is truncated. Expected ...".
    """

    def __init__(self, place: str, reason: str):
        # Both go to `args`, so that the error survives pickling.
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place} {self.reason}"


class NoAnswerError(UserError):
    """TensorFlow has taken too long, and goes on in its thread.

    A command that ends with it ends at once: TensorFlow crashes when its
    threads are taken down in the middle of an operation.
    """


def unknown(what: str, name: object, choices: Iterable[str]) -> ValueError:
    """The error for a name that is not among the choices."""
    return ValueError(
        f"Unknown {what}. Expected one of {', '.join(choices)}. "
        f"Received: {name!r}"
    )


def first_line(error: BaseException) -> str:
    """What a foreign error says, in a line; TensorFlow's run over pages.

    Returns:
      The first line of the message without a full stop, cut at 200 characters;
      the name of the error's class where it has no message.
    """
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(". ")
