"""The parts of a STAC item: model, files, bands, classes.

Written with pystac, which only this needs: it is imported where it is used.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import re
import urllib.parse
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import rasterio

from ben_tf import bigearthnet
from ben_tf import files
from ben_tf import saved_model as saved_models
from ben_tf.data import geojson
from ben_tf.predict import map_style

if TYPE_CHECKING:
    import pystac

_MEDIA_TYPES = {
    ".csv": "text/csv",
    ".geojson": "application/geo+json",
    ".parquet": "application/vnd.apache.parquet",
    ".qml": "application/xml",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".tiff": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".xml": "application/xml",
}
# Beyond what its other tags say already.
_OWN_PROPERTIES = ("fingerprint", "trained_on", "synthetic", "software")


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a prediction was made of.

    Attributes:
      saved_model: Folder of the model.
      sources: Files and folders of the images.
      times: The first and the last time of acquisition, UTC.
    """

    saved_model: str | os.PathLike
    sources: Sequence[str | os.PathLike]
    times: tuple[datetime.datetime, datetime.datetime]


def new_item(
    output: pathlib.Path,
    corners: np.ndarray | None,
    *,
    model: saved_models.ServedModel,
    tags: Mapping[str, str],
    origin: Origin,
) -> "pystac.Item":
    """An item with time, place, model and origin, without its files.

    Args:
      output: What was predicted.
      corners: (4, 2) degrees of the ground, counterclockwise; None for nowhere.
      model: What predicted.
      tags: From `origin.of`.
      origin: What it was predicted from.
    """
    import pystac

    first, last = origin.times
    place: dict[str, Any] = {"geometry": None, "bbox": None}
    if corners is not None:
        place["geometry"] = geojson.polygon(corners)
        place["bbox"] = [
            *corners.min(axis=0).tolist(),
            *corners.max(axis=0).tolist(),
        ]
    item = pystac.Item(
        id=output.stem,
        **place,
        datetime=first if first == last else None,
        start_datetime=None if first == last else first,
        end_datetime=None if first == last else last,
        properties={
            "title": f"Land cover of {output.stem} by {model.model}",
            "created": tags["date"],
            **{f"ben_tf:{name}": tags[name] for name in _OWN_PROPERTIES},
        },
    )
    for source in origin.sources:
        item.add_link(
            pystac.Link(
                pystac.RelType.DERIVED_FROM,
                _href(pathlib.Path(source), output),
                title=pathlib.Path(source).name,
            )
        )
    _describe_model(
        item, model, _href(pathlib.Path(origin.saved_model), output)
    )
    return item


def _describe_model(
    item: "pystac.Item", model: saved_models.ServedModel, href: str
) -> None:
    """Adds what predicted, by the extension for models."""
    import pystac
    from pystac.extensions import mlm
    from pystac.extensions.raster import DataType
    from pystac.extensions.raster import RasterBand
    from pystac.extensions.raster import RasterExtension

    num_classes = len(model.class_names)
    mlm.MLMExtension.ext(item, add_if_missing=True).apply(
        name=model.model,
        architecture=model.model,
        tasks=[mlm.TaskType.SCENE_CLASSIFICATION],
        framework="TensorFlow",
        total_parameters=model.num_parameters,
        input=[
            mlm.ModelInput.create(
                name,
                list(grid.bands),
                mlm.InputStructure.create(
                    [-1, *grid.shape],
                    ["batch", "height", "width", "bands"],
                    DataType(grid.dtype),
                ),
                description=f"{grid.unit}, pixels of {grid.pixel_size_m} m",
            )
            for name, grid in _grids_of(model)
        ],
        output=[
            mlm.ModelOutput.create(
                "probabilities",
                [mlm.TaskType.SCENE_CLASSIFICATION],
                mlm.ResultStructure.create(
                    [-1, num_classes], ["batch", "class"], DataType.FLOAT32
                ),
                description="Probability of each class; several can be present",
                classes=_classes(model.class_names, first=0),
            )
        ],
    )
    asset = pystac.Asset(
        href,
        title=f"{model.model}, a SavedModel of TensorFlow",
        roles=["mlm:model"],
        extra_fields={"mlm:artifact_type": "tf.saved_model.save"},
    )
    item.add_asset("model", asset)
    bands = []
    for _, grid in _grids_of(model):
        for name in grid.bands:
            band = RasterBand.create(
                data_type=DataType(grid.dtype),
                unit=grid.unit,
                spatial_resolution=grid.pixel_size_m,
            )
            # By which the inputs above refer to it.
            bands.append(RasterBand({"name": name, **band.to_dict()}))
    RasterExtension.ext(asset, add_if_missing=True).apply(bands)


def describe_bands(
    asset: "pystac.Asset", path: pathlib.Path, class_names: Sequence[str]
) -> None:
    """Says of the bands of a GeoTIFF what it says of them itself."""
    from pystac.extensions.classification import Classification
    from pystac.extensions.classification import ClassificationExtension
    from pystac.extensions.raster import DataType
    from pystac.extensions.raster import NoDataStrings
    from pystac.extensions.raster import RasterBand
    from pystac.extensions.raster import RasterExtension

    bands = []
    with rasterio.open(path) as dataset:
        for number in dataset.indexes:
            nodata = dataset.nodatavals[number - 1]
            band = RasterBand.create(
                # JSON has no NaN.
                nodata=NoDataStrings.NAN if np.isnan(nodata) else nodata,
                data_type=DataType(dataset.dtypes[number - 1]),
                unit=dataset.units[number - 1],
                spatial_resolution=dataset.transform.a,
            )
            name = dataset.descriptions[number - 1]
            bands.append(RasterBand({"name": name, **band.to_dict()}))
        has_classes = dataset.dtypes[0] == "uint8"
    RasterExtension.ext(asset, add_if_missing=True).apply(bands)
    if has_classes:
        no_data = Classification.create(
            value=0,
            name="no_data",
            title="no data",
            description="no data",
            nodata=True,
        )
        ClassificationExtension.ext(asset, add_if_missing=True).classes = [
            no_data,
            *_classes(class_names, first=1),
        ]


def _classes(class_names: Sequence[str], *, first: int) -> list[Any]:
    """The classes with their numbers and colours."""
    from pystac.extensions.classification import Classification

    colors = map_style.colors_of(class_names)
    return [
        Classification.create(
            value=number,
            # The standard allows no other characters.
            name=re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_").lower(),
            title=name,
            # Which version 1 demanded and the extension for models still does.
            description=name,
            color_hint=color[1:].upper(),
        )
        for number, (name, color) in enumerate(
            zip(class_names, colors, strict=True), start=first
        )
    ]


def _grids_of(
    model: saved_models.ServedModel,
) -> list[tuple[str, bigearthnet.Grid]]:
    return [(name, bigearthnet.GRIDS[name]) for name in model.input_names]


def add_asset(
    item: "pystac.Item", path: pathlib.Path, output: pathlib.Path, *, role: str
) -> "pystac.Asset":
    """Adds a file that lies beside the item."""
    import pystac

    asset = pystac.Asset(
        _href(path, output),
        media_type=_MEDIA_TYPES[path.suffix.lower()],
        roles=[role],
    )
    item.add_asset(_key(path, output), asset)
    return asset


def _key(path: pathlib.Path, output: pathlib.Path) -> str:
    """Name of a file in the item: data for X.tif, class for X_class.tif."""
    rest = path.name.removeprefix(output.stem).removesuffix(output.suffix)
    return re.sub(r"[^0-9A-Za-z]+", "_", rest).strip("_") or "data"


def _href(path: pathlib.Path, output: pathlib.Path) -> str:
    """The way from the item to a file."""
    way = pathlib.Path(os.path.relpath(path, output.parent)).as_posix()
    return urllib.parse.quote(way if way.startswith("..") else f"./{way}")


def write(item: "pystac.Item", path: pathlib.Path) -> None:
    """Writes an item. Its links stay relative: files move together."""
    content = item.to_dict(include_self_link=False, transform_hrefs=False)
    files.write(path, f"{json.dumps(content, indent=2, allow_nan=False)}\n")
