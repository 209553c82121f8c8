"""GeoTIFFs with several bands, such as Earth Engine, openEO and SNAP export.

Bands of 20 and 60 m come in them as pixels of 10 m, each repeated. They are
averaged back: the mean of equal pixels is what they were.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import rasterio
from rasterio.enums import ColorInterp

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.scenes import frames
from ben_tf.scenes import images
from ben_tf.scenes import s1_layer
from ben_tf.scenes import s2_layer
from ben_tf.scenes import s2_metadata

# B2 of Earth Engine, B02 of openEO, "Sentinel-2 B02 (10 m)"; "Sigma0_VV_db".
_NAME = re.compile(
    r"(?<![A-Z0-9])B(?P<number>8A|\d{1,2})(?![A-Z0-9])"
    r"|(?<![A-Z])(?P<polarisation>VV|VH|HH|HV)(?![A-Z])"
)


class _Place(NamedTuple):
    """One band of one of the files."""

    dataset: rasterio.DatasetReader
    number: int


def open_layers(
    stack: contextlib.ExitStack,
    paths: Sequence[str | os.PathLike],
    grids: Sequence[str],
    *,
    names: Sequence[str] | None,
    offset: float | None,
    reflectance_scale: float | None,
) -> dict[str, s1_layer.S1Layer | s2_layer.S2Layer]:
    """Opens the bands that a model takes.

    Args:
      stack: Closes the files.
      paths: GeoTIFFs that hold all bands together.
      grids: Which of `bigearthnet.GRIDS`.
      names: What the bands of all files are, in order; None: what they say
        themselves.
      offset: What to add to reflectance x 10,000.
      reflectance_scale: What a reflectance of 1 is stored as; 10,000 where
        nobody says.

    Returns:
      Name of grid -> its bands; all cover the same ground.

    Raises:
      errors.UserError: A file cannot be read, a band is missing or there
        twice, or its pixels or numbers are of another kind.
    """
    datasets = [images.open_image(stack, path) for path in paths]
    wanted = [band for name in grids for band in bigearthnet.GRIDS[name].bands]
    place_of = _find(datasets, wanted, names)
    used = {place.dataset.name: place.dataset for place in place_of.values()}
    mask_of = {name: images.open_mask(stack, used[name]) for name in used}
    layers: dict[str, s1_layer.S1Layer | s2_layer.S2Layer] = {}
    frame = None
    if s2_grids := [n for n in grids if bigearthnet.GRIDS[n].sensor == "S2"]:
        frame = _shared_frame(place_of, s2_grids)
        for name in s2_grids:
            grid = bigearthnet.GRIDS[name]
            bands = [
                s2_layer.band_of(
                    *place_of[band],
                    mask=mask_of[place_of[band].dataset.name],
                    offset=_offset_of(place_of[band].dataset, offset),
                    reflectance_scale=reflectance_scale,
                )
                for band in grid.bands
            ]
            layers[name] = s2_layer.S2Layer(grid, bands, frame)
    if "s1" in grids:
        layers["s1"] = s1_layer.layer_of(
            [
                images.Band(
                    *place_of[band], mask=mask_of[place_of[band].dataset.name]
                )
                for band in bigearthnet.S1_BANDS
            ],
            frame,
            is_described=True,
        )
    return layers


def _offset_of(
    dataset: rasterio.DatasetReader, offset: float | None
) -> float | None:
    """What somebody says, unless the file may need it and nobody does."""
    if offset is None:
        path = pathlib.Path(dataset.name)
        s2_metadata.refuse_unknown_offset([path.name], path.parent)
    return offset


def _shared_frame(
    place_of: Mapping[str, _Place], grids: Iterable[str]
) -> frames.Frame:
    """The ground of the Sentinel-2 bands.

    Raises:
      errors.UserError: Pixels of a file are larger than those of a band, or do
        not fill them, or files do not cover the same ground.
    """
    frame_of: dict[str, frames.Frame] = {}
    pixel_m_of: dict[str, int] = {}
    for name in grids:
        grid = bigearthnet.GRIDS[name]
        for band in grid.bands:
            dataset = place_of[band].dataset
            pixel_m = round(dataset.transform.a)
            if pixel_m > grid.pixel_size_m:
                raise errors.UserError(
                    f"{band} of {dataset.name} has pixels of {pixel_m} m. "
                    f"Expected its own, {grid.pixel_size_m} m, or finer ones: "
                    "coarser ones have lost what the model looks at. Export "
                    "the image once more with pixels of 10 m."
                )
            if pixel_m < 1 or grid.pixel_size_m % pixel_m:
                # Degrees, or pixels that do not fill those of the band.
                pixel_m = grid.pixel_size_m
            frame_of[dataset.name] = frames.frame_of(dataset, pixel_m)
            pixel_m_of[dataset.name] = pixel_m
    return frames.shared(frame_of, pixel_m_of)


# --- Which band is which ---------------------------------------------------


def _find(
    datasets: Sequence[rasterio.DatasetReader],
    wanted: Sequence[str],
    names: Sequence[str] | None,
) -> dict[str, _Place]:
    """Name of band -> where it is.

    Raises:
      errors.UserError: There are more or fewer bands than names, a band says
        that it is another, or one that is wanted is missing or there twice.
    """
    places = [
        _Place(dataset, number)
        for dataset in datasets
        for number, meaning in enumerate(dataset.colorinterp, start=1)
        if meaning != ColorInterp.alpha
    ]
    texts = [
        place.dataset.descriptions[place.number - 1] or "" for place in places
    ]
    own_names = [_name_in(text) for text in texts]
    if names is None:
        found = own_names
    else:
        found = [_name_in(name) for name in names]
        if len(names) != len(places):
            raise errors.UserError(
                f"{_listed(datasets)} has {len(places)} bands. Expected a name "
                "for each in `bands`, any name where the model does not look "
                f"at it. Received {len(names)}: `bands={','.join(names)}`"
            )
        for place, text, own, name in zip(
            places, texts, own_names, found, strict=True
        ):
            if own and name != own and own_names.count(own) == 1:
                raise errors.UserError(
                    f"Band {place.number} of {place.dataset.name} says that it "
                    f"is {text}, not {name or 'another'}. Correct its "
                    "description or `bands`."
                )
    ask = (
        "Expected each band that the model takes once; name all in their "
        f"order, such as `bands={','.join(wanted)}`."
    )
    for band in wanted:
        if band not in found:
            there = ", ".join(
                (names[i] if names else text) or "no name"
                for i, text in enumerate(texts)
            )
            raise errors.UserError(
                f"{_listed(datasets)} has no band {band} but {there}. {ask}"
            )
        if found.count(band) > 1:
            raise errors.UserError(
                f"{_listed(datasets)} has {found.count(band)} bands {band}. "
                f"{ask}"
            )
    return {band: places[found.index(band)] for band in wanted}


def _listed(datasets: Iterable[rasterio.DatasetReader]) -> str:
    return " with ".join(dataset.name for dataset in datasets)


def _name_in(text: str) -> str:
    """The band that a text names, as we name it; "" for none or several."""
    found = {
        match["polarisation"] or f"B{match['number']:0>2}"
        for match in _NAME.finditer(text.upper())
    }
    return found.pop() if len(found) == 1 else ""
