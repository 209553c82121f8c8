"""Pictures of the patches of a dataset, drawn once and kept for a while."""

import concurrent.futures
import itertools
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import patch_reader
from ben_tf.plots import pictures
from ben_tf.retrieval.server import batcher
from ben_tf.retrieval.server import kept

Grids = Mapping[str, np.ndarray]

# Key in addresses -> one of `pictures.PICTURES`.
PICTURES = {
    "true_colour": "True colour",
    "false_colour": "False colour: B08, B04, B03",
    "radar": "Radar: VV, VH, VV - VH",
}
# Some 4,000 pictures.
_MOST_BYTES = 128 << 20


class UnknownPatchError(errors.UserError):
    """There is no patch of that name, or no picture of it."""


class Drawings:
    """Draws patches by name; threads may share it."""

    def __init__(self, builder: tfds.core.DatasetBuilder):
        """Reads which patches there are.

        Args:
          builder: From `built_dataset.open_dataset`.
        """
        self._reader = patch_reader.PatchReader(builder)
        sensors = built_dataset.sensors(builder)
        # Data of one's own may lack a sensor.
        self.names = {
            key: name
            for key, name in PICTURES.items()
            if pictures.sensor_of(name) in sensors
        }
        self._kept: kept.Kept[tuple[str, str], bytes] = kept.Kept(_MOST_BYTES)
        self._batcher = batcher.Batcher(self._draw_all)

    def close(self) -> None:
        """Draws what waits, and takes no more requests."""
        self._batcher.close()

    def png(
        self, patch_name: str, picture: str
    ) -> "concurrent.futures.Future[bytes]":
        """A PNG of a patch, drawn together with others that wait.

        Args:
          patch_name: Of the patch.
          picture: A key of `names`.

        Raises:
          UnknownPatchError: The dataset lacks that sensor.
          batcher.BusyError: Too many wait.
        """
        if picture not in self.names:
            raise UnknownPatchError("The dataset lacks that sensor.")
        known = self._kept.get((patch_name, picture))
        if known is None:
            return self._batcher.submit((patch_name, picture))
        future: concurrent.futures.Future[bytes] = concurrent.futures.Future()
        future.set_result(known)
        return future

    def _draw_all(
        self, wanted: Sequence[tuple[str, str]]
    ) -> Sequence[bytes | Exception]:
        names = sorted({name for name, _ in wanted})
        grids = sorted(
            {x for _, key in wanted for x in pictures.grids_of(PICTURES[key])}
        )
        found = list(itertools.compress(names, self._reader.has(names)))
        pixels: dict[str, Grids | Exception] = {}
        try:
            pixels |= self._read(found, grids)
        except errors.UserError:
            # One damaged record is no fault of the others.
            for name in found:
                try:
                    pixels |= self._read([name], grids)
                except errors.UserError as error:
                    pixels[name] = error
        return [self._draw(pixels.get(name), name, key) for name, key in wanted]

    def _read(
        self, names: Sequence[str], grids: Sequence[str]
    ) -> dict[str, Grids]:
        if not names:
            return {}
        inputs = self._reader.read(names, grids=grids)["inputs"]
        return {
            name: {grid: inputs[grid][row].numpy() for grid in grids}
            for row, name in enumerate(names)
        }

    def _draw(
        self, grids: Grids | Exception | None, patch_name: str, picture: str
    ) -> bytes | Exception:
        if isinstance(grids, Exception):
            return grids
        if grids is None:
            return UnknownPatchError("This patch is not in the dataset.")
        png = draw(grids, picture)
        self._kept.put((patch_name, picture), png, len(png))
        return png


def draw(grids: Grids, picture: str) -> bytes:
    """A PNG of raw grids; `picture` is a key of `PICTURES`."""
    name = PICTURES[picture]
    needed = {grid: grids[grid] for grid in pictures.grids_of(name)}
    return bytes(pictures.to_png(pictures.render(needed, name)))


def can_draw(grids: Iterable[str], picture: str) -> bool:
    """Whether these grids are enough for a key of `PICTURES`."""
    return set(pictures.grids_of(PICTURES[picture])) <= set(grids)
