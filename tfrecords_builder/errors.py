"""The one error for whatever is wrong with an archive."""

from ben_tf import command_line


class ArchiveError(command_line.UserError):
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
