"""Opens an archive: extracted folders, tarballs, or one of each."""

import os
import pathlib
import shutil
from collections.abc import Sequence
from concurrent import futures

from tqdm import auto as tqdm

from ben_tf import errors
from ben_tf.archive import inflated_file
from ben_tf.archive import layout
from ben_tf.archive import patch_sources
from ben_tf.archive import scratch_files
from ben_tf.archive import tar_index
from ben_tf.archive import tarball

# How much a compressed tarball grows at most; those of v1.0 by a half.
_MAX_GROWTH = 2


def open_archive(
    archive_dir: str | os.PathLike[str],
    *,
    version: str | None = None,
    sensors: Sequence[str] = ("S1", "S2"),
    with_maps: bool = False,
    selection: tar_index.Selection = tar_index.ALL,
    order: scratch_files.Order = scratch_files.any_order,
    scratch_dir: str | os.PathLike[str] | None = None,
) -> patch_sources.Archive:
    """Returns the source of each sensor.

    Args:
      archive_dir: Folder that holds, for each sensor, its extracted folder or
        its tarball.
      version: "v1" or "v2"; None: the one that is there.
      sensors: Which of "S1" and "S2" to open.
      with_maps: Whether to open the reference maps too, if there are any.
      selection: What to take of tarballs; the rest takes no scratch space.
      order: In which the patches of both sensors will be read, if known.
      scratch_dir: Where compressed tarballs are inflated to (167 GB for the
        whole archive) and indexes of tarballs are written. The caller deletes
        it. Folders need none, tarballs do.

    Raises:
      errors.UserError: A sensor is missing, a tarball is damaged or the
        disk is too small.
      errors.ArchiveError: A tar member is refused.
      ValueError: Tarballs without `scratch_dir`.
    """
    lies = (
        layout.LAYOUTS[version]
        if version
        else layout.find_version(archive_dir, sensors)
    )
    layouts = lies.all_layouts
    paths = layout.find_sensors(archive_dir, sensors, layout=lies)
    if with_maps and (maps := layout.find_maps(archive_dir, lies)):
        paths[layout.MAPS] = maps
    tarballs = {
        sensor: path for sensor, path in paths.items() if path.is_file()
    }
    sources: dict[str, patch_sources.Source] = {
        sensor: patch_sources.FolderSource(path, layouts[sensor])
        for sensor, path in paths.items()
        if sensor not in tarballs
    }
    if not tarballs:
        return patch_sources.Archive(lies.version, sources)
    if scratch_dir is None:
        raise ValueError("Tarballs need scratch space. Expected `scratch_dir`.")
    scratch = pathlib.Path(scratch_dir)
    scratch.mkdir(parents=True, exist_ok=True)
    compressed = [
        path
        for path in tarballs.values()
        if path.suffix in inflated_file.SUFFIXES
    ]
    if selection == tar_index.ALL:
        # A part takes less, nobody knows how much.
        check_disk(
            scratch, inflated_bytes(tarballs, lies), "inflating the tarballs"
        )
    with (
        tqdm.tqdm(
            desc="inflating"
            if selection.endings is None
            else "looking through",
            total=sum(path.stat().st_size for path in compressed),
            unit="B",
            unit_scale=True,
            disable=not compressed,
        ) as progress,
        # Inflating releases the interpreter lock.
        futures.ThreadPoolExecutor() as executor,
    ):
        opening = {
            sensor: executor.submit(
                tarball.TarSource,
                path,
                layouts[sensor],
                selection=selection,
                order=order,
                scratch=scratch,
                progress=progress.update,
            )
            for sensor, path in tarballs.items()
        }
        opened = {sensor: task.result() for sensor, task in opening.items()}
    return patch_sources.Archive(
        lies.version,
        sources | opened,
        sum(source.scratch_bytes for source in opened.values()),
    )


def scratch_bytes(archive_dir: str | os.PathLike[str], version: str) -> int:
    """Returns the most scratch space that inflating a whole archive takes.

    0 if nothing is compressed.

    Raises:
      errors.UserError: A sensor is missing.
    """
    lies = layout.LAYOUTS[version]
    paths = layout.find_sensors(archive_dir, layout=lies)
    if maps := layout.find_maps(archive_dir, lies):
        paths[layout.MAPS] = maps
    return inflated_bytes(paths, lies)


def inflated_bytes(paths: dict[str, pathlib.Path], lies: layout.Layout) -> int:
    """Returns the most scratch space that inflating takes.

    Args:
      paths: Tarball of each sensor, compressed or not.
      lies: Of which version.
    """
    return sum(
        min(
            _MAX_GROWTH * path.stat().st_size,
            lies.all_layouts[sensor].largest_tar_bytes,
        )
        for sensor, path in paths.items()
        if path.suffix in inflated_file.SUFFIXES
    )


def check_disk(folder: pathlib.Path, num_bytes: int, purpose: str) -> None:
    """Refuses to start what the disk has no room for.

    Args:
      folder: Existing folder that will be written to.
      num_bytes: How much will be written.
      purpose: What for, to go into the message.

    Raises:
      errors.UserError: Too little is free.
    """
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise errors.UserError(
            f"The disk is too small for {purpose}: {num_bytes / 1e9:.1f} GB "
            f"needed, {free / 1e9:.1f} GB free in {folder}. Free some space or "
            "choose another folder."
        )
