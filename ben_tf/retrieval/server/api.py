"""The interface for programs: JSON, pictures and a page that describes it.

Addresses begin with /api/v1; /openapi.json describes them, /docs for people.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable
from collections.abc import Sequence
from typing import Annotated
from typing import Any
from typing import TypeVar

import fastapi
import numpy as np
from fastapi import responses

import ben_tf
from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.plots import outlines as outlines_lib
from ben_tf.retrieval import answer_facts
from ben_tf.retrieval import embedding
from ben_tf.retrieval import patch_source
from ben_tf.retrieval.server import collection as collection_lib
from ben_tf.retrieval.server import drawings
from ben_tf.retrieval.server import refusals
from ben_tf.retrieval.server import requests
from ben_tf.retrieval.server import scene as scene_lib
from ben_tf.retrieval.server import uploads as uploads_lib

_MOST_FILES = 64
_ANSWER_WITHIN_S = 60.0
_MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "geojson": "application/geo+json",
    "parquet": "application/vnd.apache.parquet",
}

Result = TypeVar("Result")


def add_routes(
    app: fastapi.FastAPI,
    collection: collection_lib.Collection,
    uploads: uploads_lib.Uploads,
    scene: scene_lib.Scene | None = None,
) -> None:
    """Adds the interface for programs to an application."""
    router = fastapi.APIRouter(prefix="/api/v1")

    @router.get("/about")
    def about() -> dict[str, Any]:
        """What is served: indexes, their model and what can be filtered by."""
        return {
            "software": f"ben_tf {ben_tf.__version__}",
            "synthetic": collection.synthetic,
            "indexes": [
                _about_index(name, index)
                for name, index in collection.indexes.items()
            ],
            "countries": bigearthnet.COUNTRIES,
            "seasons": bigearthnet.SEASONS,
            "pictures": collection.drawings.names,
            "most_hits": requests.MOST_HITS,
            "scene": scene and {"name": scene.name, "outline": scene.outline},
        }

    @router.get("/points", response_class=responses.Response)
    def points(index: requests.Name | None = None) -> responses.Response:
        """All patches of an index in 23 bytes each.

        Little-endian columns one after the other: longitude, latitude
        (float32, degrees); labels (two uint32 of bits); day since 1970-01-01
        (int32); country, season, split (uint8, 255: unknown). Rows are those
        of /patches?row=.
        """
        return responses.Response(
            collection.points(index), media_type="application/octet-stream"
        )

    @router.get("/outlines", response_class=responses.Response)
    def outlines() -> responses.Response:
        """Coasts and borders of Europe: Natural Earth.

        A list for each line, in hundredths of a degree: longitude and latitude
        of its first point, then the steps to the next ones.
        """
        return responses.Response(
            outlines_lib.FILE.read_bytes(), media_type="application/json"
        )

    @router.get("/patches")
    def patches(
        index: requests.Name | None = None,
        prefix: requests.Name = "",
        row: Annotated[int | None, fastapi.Query(ge=0)] = None,
        limit: Annotated[int, fastapi.Query(ge=1, le=100)] = 20,
        offset: Annotated[int, fastapi.Query(ge=0, le=10**9)] = 0,
    ) -> dict[str, Any]:
        """Patches by the beginning of their names, or by their row."""
        opened = collection.index(index)
        if row is not None:
            rows = np.arange(row, min(row + 1, len(opened.names)))
        else:
            start = int(np.searchsorted(opened.names, prefix)) + offset
            rows = np.arange(start, min(start + limit, len(opened.names)))
        return {
            "patches": [
                answer_facts.patch_members(patch)
                for patch in opened.describe(rows)
                if patch.name.startswith(prefix)
            ]
        }

    @router.get("/patches/{name}")
    def patch(
        name: requests.Name, index: requests.Name | None = None
    ) -> dict[str, Any]:
        """What is known of a patch."""
        return answer_facts.patch_members(collection.named(index, name))

    @router.get(
        "/patches/{name}/{picture}.png", response_class=responses.Response
    )
    async def picture(
        name: requests.Name,
        picture: requests.Picture,
    ) -> responses.Response:
        """A patch as a PNG, stretched between percentiles of its own pixels."""
        content = await _answer(collection.drawings.png(name, picture))
        return responses.Response(
            content,
            media_type="image/png",
            headers={"cache-control": "private, max-age=3600"},
        )

    @router.post("/query")
    async def query(asked: requests.Query) -> responses.Response:
        """The patches that look most like the query, nearest first."""
        name = collection.name_of(asked.index)
        made, modality = requests.read_query(collection, uploads, asked)
        where = asked.where.read()
        content = await _answer(
            collection.search(
                name,
                made,
                modality=modality,
                page=collection_lib.Page(asked.k, asked.offset, asked.format),
                where=where,
            )
        )
        return responses.Response(
            content, media_type=_MEDIA_TYPES[asked.format]
        )

    async def keep(
        index: str | None,
        read: Callable[[Sequence[str]], patch_source.Found],
    ) -> dict[str, Any]:
        """Embeds what is read for the grids of an index, and keeps it."""
        name = collection.name_of(index)
        opened = collection.index(name)
        modality = opened.manifest.modality
        # Loads the model at the first upload.
        model = await asyncio.to_thread(lambda: opened.model)
        found = await asyncio.to_thread(
            read, embedding.input_names(model, modality)
        )
        row = await _answer(
            collection.embed(name, found.grids, modality=modality)
        )
        key = uploads.keep(
            uploads_lib.Upload(found.patch, found.grids, row, modality)
        )
        return {
            "upload": key,
            "pictures": [
                picture
                for picture in drawings.PICTURES
                if drawings.can_draw(found.grids, picture)
            ],
            **answer_facts.patch_members(found.patch),
        }

    @router.post("/uploads", status_code=201)
    async def upload(
        files: list[fastapi.UploadFile],
        index: requests.Name | None = None,
        longitude: requests.Longitude | None = None,
        latitude: requests.Latitude | None = None,
    ) -> dict[str, Any]:
        """Takes a patch of one's own, to be a query.

        Its GeoTIFFs as in the archive, names ending with that of the band
        (..._B02.tif, ..._VV.tif). Or something larger, of which the 1.2 km
        around longitude and latitude count, those in the middle without: one
        GeoTIFF with many bands that say in their descriptions what they are; or
        a Sentinel-2 Level-2A product, as a .zip or as band files (.jp2) with
        MTD_MSIL2A.xml, and a GeoTIFF with VV and VH with it if the model looks
        at Sentinel-1. Kept in memory, the newest some 250 of them.
        """
        if len(files) > _MOST_FILES:
            raise errors.UserError(f"Expected at most {_MOST_FILES} files.")
        point = requests.read_point(longitude, latitude)
        content = [(file.filename or "", await file.read()) for file in files]
        return await keep(
            index,
            lambda grids: uploads_lib.read(content, grids=grids, point=point),
        )

    @router.post("/windows", status_code=201)
    async def window(
        longitude: requests.Longitude,
        latitude: requests.Latitude,
        index: requests.Name | None = None,
    ) -> dict[str, Any]:
        """Cuts 1.2 km out of the server's scene, to be a query like an upload.

        The scene is the one that the server was started with; /about names it
        and its outline.
        """
        if scene is None:
            raise errors.UserError(
                "This server was started without a scene. Expected `s2_scene` "
                "or `s1_scene` at its start."
            )
        return await keep(
            index, lambda grids: scene.window(grids, (longitude, latitude))
        )

    @router.get(
        "/uploads/{key}/{picture}.png", response_class=responses.Response
    )
    async def uploaded_picture(
        key: requests.Name,
        picture: requests.Picture,
    ) -> responses.Response:
        """A patch that was sent, as a PNG."""
        grids = uploads.get(key).grids
        if not drawings.can_draw(grids, picture):
            raise uploads_lib.GoneError("This upload lacks that sensor.")
        content = await asyncio.to_thread(drawings.draw, grids, picture)
        return responses.Response(content, media_type="image/png")

    app.include_router(router)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    refusals.add_to(app)


def _about_index(name: str, index: Any) -> dict[str, Any]:
    manifest = index.manifest
    return {
        "name": name,
        "num_patches": manifest.num_patches,
        "dataset": manifest.dataset or None,
        "splits": manifest.splits,
        "class_names": manifest.class_names,
        "modality": manifest.modality,
        "distance": index.distance,
        "search": manifest.search,
        "dimension": manifest.dimension,
        "model": manifest.model or None,
        "model_fingerprint": manifest.fingerprint,
        "dataset_fingerprint": manifest.records or None,
        "synthetic": manifest.synthetic,
    }


async def _answer(
    future: "concurrent.futures.Future[Result]",
) -> Result:
    """Waits for a batch, but not for ever.

    Raises:
      TimeoutError: It took too long; nobody works on it then.
    """
    try:
        return await asyncio.wait_for(
            asyncio.wrap_future(future), _ANSWER_WITHIN_S
        )
    finally:
        future.cancel()
