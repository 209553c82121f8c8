"""The scene that a server is started with: its windows can be queries.

A product of Sentinel-2 has 1 GB, which nobody sends to a server. Whoever starts
the server names one that lies on its machine; nothing else is ever opened.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence

import rasterio

from ben_tf import errors
from ben_tf.retrieval import patch_source
from ben_tf.scenes import frames
from ben_tf.scenes import images
from ben_tf.scenes import layers


class Scene:
    """Images of one place, of which clients choose windows.

    Attributes:
      name: Of the Sentinel-2 product, or of the file of Sentinel-1.
      outline: Longitude and latitude of its corners, degrees.
    """

    def __init__(
        self,
        *,
        s2_scene: str | os.PathLike | None = None,
        s1_scene: str | os.PathLike | None = None,
        grids: Sequence[str],
    ):
        """Looks whether it can be read.

        Args:
          s2_scene: As for `layers.open_layers`.
          s1_scene: Likewise.
          grids: What the model looks at, keys of `bigearthnet.GRIDS`.

        Raises:
          UserError: As `layers.open_layers`.
        """
        self._s2_scene, self._s1_scene = (
            pathlib.Path(path).expanduser().absolute() if path else None
            for path in (s2_scene, s1_scene)
        )
        self.name = next(
            path.stem for path in (self._s2_scene, self._s1_scene) if path
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(rasterio.Env(**images.GDAL_OPTIONS))
            opened = layers.open_layers(
                stack,
                grids,
                s2_scene=self._s2_scene,
                s1_scene=self._s1_scene,
            )
            frame = next(iter(opened.values())).frame
        layers.check_frame(frame)
        self.outline = frames.outline(frame)

    def window(
        self, grids: Sequence[str], point: tuple[float, float]
    ) -> patch_source.Found:
        """Reads the patch around a point.

        Args:
          grids: What the model looks at.
          point: Longitude and latitude, degrees.

        Raises:
          UserError: As `patch_source.from_scene`, without places of this
            machine.
        """
        with self._nameless():
            return patch_source.from_scene(
                grids,
                point=point,
                s2_scene=self._s2_scene,
                s1_scene=self._s1_scene,
            )

    @contextlib.contextmanager
    def _nameless(self) -> Iterator[None]:
        try:
            yield
        except errors.UserError as error:
            text = str(error)
            for path in (self._s2_scene, self._s1_scene):
                if path:
                    text = text.replace(f"{path.parent}/", "")
            raise errors.UserError(text) from None
