"""What reads the files of a patch: the protocol, and extracted folders.

`tarball.TarSource` is the other source.
"""

import dataclasses
import errno
import os
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Protocol

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf import files
from ben_tf.archive import layout

# No file of the archive comes near; guards memory against a hostile one.
MAX_FILE_BYTES = 1 << 20
_SIDE_BY_SIDE = layout.V1.sensors["S2"]


class Source(Protocol):
    """The patches of one sensor; picklable, so that all processes can read."""

    def patch_names(self) -> Iterable[str]:
        """Returns the names of the patches, in any order."""

    def file_names(self, patch_name: str) -> Iterable[str]:
        """Returns the names of the files of a patch, in any order.

        GeoTIFFs end in .tif here, whatever their names end in.
        """

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file, by a name from `file_names`.

        Raises:
          errors.ArchiveError: It is missing, unreadable, too large, or there
            twice, as .tif and .tiff.
        """

    def drop_before(self, patch_name: str) -> None:
        """Frees what is held of patches before this one in the reading order.

        They were read for the last time, those after it were not.
        """


@dataclasses.dataclass(frozen=True)
class Archive:
    """An open archive; picklable, so that all processes can read.

    Attributes:
      version: Key of `layout.LAYOUTS`.
      sources: By sensor, "S1" and "S2"; of the reference maps, "maps", where
        the archive has them.
      scratch_bytes: How much disk is held for it.
      sensors: Those whose patches have files; own data may have one alone.
    """

    version: str
    sources: Mapping[str, Source]
    scratch_bytes: int = 0
    sensors: Sequence[str] = tuple(bigearthnet.BANDS)

    def __getitem__(self, sensor: str) -> Source:
        """The source of a sensor."""
        return self.sources[sensor]


class FolderSource:
    """An extracted archive: one folder a patch."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        sensor_layout: layout.SensorLayout | None = None,
    ):
        """Names the folder; nothing is read yet.

        Args:
          folder: It holds the folders of the patches, or of their scenes.
          sensor_layout: How they lie in it; None: side by side.
        """
        self._folder = os.fspath(folder)
        self._layout = sensor_layout or _SIDE_BY_SIDE
        # Of the patch read last, whose files are read one after the other.
        self._unusual: tuple[str, dict[str, list[str]]] = ("", {})

    def patch_names(self) -> list[str]:
        """Returns the names of all entries that are not hidden.

        A patch in the folder of another scene goes by its path.
        """
        names = _visible_names(self._folder)
        if not self._layout.scene_parts:
            return names
        found = []
        for scene in names:
            inside = self._visible_names(scene)
            found += [
                name
                if self._layout.scene_of(name) == scene
                else f"{scene}/{name}"
                for name in inside
            ]
            if not inside:
                found.append(scene)
        return found

    def file_names(self, patch_name: str) -> list[str]:
        """Returns the names of all entries that are not hidden."""
        names = self._visible_names(self._layout.place_of(patch_name))
        return sorted(set(map(layout.usual_name, names)))

    def _name_on_disk(self, patch_name: str, file_name: str) -> str:
        """The name of a GeoTIFF with its own suffix.

        Raises:
          errors.ArchiveError: There are two.
        """
        if self._unusual[0] != patch_name:
            found: dict[str, list[str]] = {}
            place = self._layout.place_of(patch_name)
            names = self._visible_names(place)
            for name in names:
                usual = layout.usual_name(name)
                if usual != name:
                    found.setdefault(usual, []).append(name)
            for usual in found.keys() & set(names):
                found[usual].append(usual)
            self._unusual = (patch_name, found)
        candidates = self._unusual[1].get(file_name, [file_name])
        if len(candidates) > 1:
            raise errors.ArchiveError(
                f"{self._layout.place_of(patch_name)}/{file_name}",
                f"is ambiguous: there are {' and '.join(sorted(candidates))}. "
                "Keep the right one.",
            )
        return candidates[0]

    def _visible_names(self, place: str) -> list[str]:
        try:
            return _visible_names(f"{self._folder}/{place}")
        except (FileNotFoundError, NotADirectoryError):
            return []  # A file with the name of a patch, or none.

    def read_file(self, patch_name: str, file_name: str) -> bytes:
        """Returns a whole file; see `Source.read_file`."""
        name = self._name_on_disk(patch_name, file_name)
        place = f"{self._layout.place_of(patch_name)}/{name}"
        try:
            return read_whole(f"{self._folder}/{place}", place)
        except FileNotFoundError as error:
            raise missing_file(place, self._folder) from error

    def drop_before(self, patch_name: str) -> None:
        """Does nothing: no disk is held for a folder."""


def read_whole(path: str, place: str) -> bytes:
    """Returns a file of a patch.

    Args:
      path: The file.
      place: What messages call it.

    Raises:
      errors.ArchiveError: It cannot be read, or is too large.
      FileNotFoundError: It is missing.
    """
    try:
        with open(path, "rb", buffering=0, opener=files.regular) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _OF_THE_FILE:
            raise errors.ArchiveError(
                place, f"cannot be read: {error.strerror}. Check the file."
            ) from error
        raise unreadable_file(place, error) from error
    if len(data) > MAX_FILE_BYTES:
        raise too_large_file(place)
    return data


class UnreadableError(errors.ArchiveError):
    """A file that is there cannot be read, for reasons outside of it.

    Permissions, the disk or the network are at fault, and may be mended: a
    patch must not be left out as damaged for that.
    """


def unreadable_file(place: str, error: OSError) -> UnreadableError:
    """Returns the error for a file that the system does not let us read."""
    return UnreadableError(
        place,
        f"cannot be read: {error.strerror}. Give yourself the permission, or "
        "check the disk or the network folder.",
    )


def _visible_names(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [e.name for e in entries if not e.name.startswith(".")]


# Errors of what has the name of a file: it is a folder, or links to itself.
_OF_THE_FILE = {errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO}
# What a damaged tarball still holds is worth days of downloading.
CHECK_TARBALL = (
    "python -m tfrecords_builder.build --download compares it with the "
    "official one, keeps what is whole and says how to get the rest."
)


def missing_file(place: str, source: str) -> errors.ArchiveError:
    """Returns the error for a file that is not there."""
    return errors.ArchiveError(
        place,
        f"is missing in {os.path.basename(source)}. Expected a whole patch; "
        "extract it from the tarball.",
    )


def too_large_file(place: str) -> errors.ArchiveError:
    """Returns the error for a file that no patch has."""
    return errors.ArchiveError(
        place, f"is too large. Expected at most {MAX_FILE_BYTES} bytes."
    )
