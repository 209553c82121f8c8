"""The interface for programs: JSON, pictures and a page that describes it.

Addresses begin with /api/v1; /openapi.json describes them, /docs for people.
"""

import asyncio
import concurrent.futures
import datetime
from typing import Annotated
from typing import Any
from typing import Literal
from typing import TypeVar

import fastapi
import numpy as np
import pydantic
from fastapi import exceptions
from fastapi import responses

import ben_tf
from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.plots import outlines as outlines_lib
from ben_tf.retrieval import answer_facts
from ben_tf.retrieval import answer_formats
from ben_tf.retrieval import embedding
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query as query_lib
from ben_tf.retrieval import where as where_lib
from ben_tf.retrieval.server import batcher
from ben_tf.retrieval.server import collection as collection_lib
from ben_tf.retrieval.server import uploads as uploads_lib

MOST_HITS = 1000
_MOST_EXAMPLES = 100
_MOST_NAMES = 10_000
_MOST_FILES = 64
_MOST_FAULTS = 5
_ANSWER_WITHIN_S = 60.0
_RETRY_AFTER_S = 1
_MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "geojson": "application/geo+json",
    "parquet": "application/vnd.apache.parquet",
}

Name = Annotated[str, pydantic.Field(max_length=255)]
Names = Annotated[list[Name], pydantic.Field(max_length=_MOST_EXAMPLES)]
Result = TypeVar("Result")


class Where(pydantic.BaseModel, extra="forbid"):
    """Which patches may be hits; every condition that is given must hold."""

    labels_all: list[Name] = []
    labels_any: list[Name] = []
    labels_none: list[Name] = []
    countries: list[Name] = []
    seasons: list[Name] = []
    first_day: datetime.date | None = pydantic.Field(
        default=None, description="Of acquisition (Sentinel-2, UTC), included."
    )
    last_day: datetime.date | None = None
    bbox: tuple[float, float, float, float] | None = pydantic.Field(
        default=None,
        description="West, south, east, north of centres, degrees.",
    )
    splits: list[Name] = []
    names: (
        Annotated[list[Name], pydantic.Field(max_length=_MOST_NAMES)] | None
    ) = None

    def read(self) -> where_lib.Where:
        """The same for the library."""
        return where_lib.Where(
            dates=(self.first_day, self.last_day),
            **self.model_dump(exclude={"first_day", "last_day"}),
        )


class Query(pydantic.BaseModel, extra="forbid"):
    """A query: examples by name, an upload, or an embedding."""

    index: Name | None = pydantic.Field(
        None, description="Name of the index; the first one by default."
    )
    positives: Names = pydantic.Field(
        [], description="Names of patches of the index: more like these."
    )
    negatives: Names = pydantic.Field(
        [], description="Names of patches: less like those."
    )
    upload: Name | None = pydantic.Field(
        None, description="Key of an upload, instead of a name."
    )
    embedding: (
        Annotated[list[float], pydantic.Field(max_length=65_536)] | None
    ) = pydantic.Field(
        None, description="Made by the index's model; needs `fingerprint`."
    )
    fingerprint: Name | None = pydantic.Field(
        None, description="SHA-256 of the weights that made `embedding`."
    )
    where: Where = Where()
    k: int = pydantic.Field(10, ge=1, le=MOST_HITS)
    offset: int = pydantic.Field(
        0, ge=0, le=MOST_HITS, description="How many of the hits to pass over."
    )
    format: Literal["json", "csv", "geojson", "parquet"] = "json"


def add_routes(
    app: fastapi.FastAPI,
    collection: collection_lib.Collection,
    uploads: uploads_lib.Uploads,
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
            "pictures": collection.pictures,
            "most_hits": MOST_HITS,
        }

    @router.get("/points", response_class=responses.Response)
    async def points(index: Name | None = None) -> responses.Response:
        """All patches of an index in 23 bytes each.

        Little-endian columns one after the other: longitude, latitude
        (float32, degrees); labels (two uint32 of bits); day since 1970-01-01
        (int32); country, season, split (uint8, 255: unknown). Rows are those
        of /patches?row=.
        """
        return responses.Response(
            await asyncio.to_thread(collection.points, index),
            media_type="application/octet-stream",
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
        index: Name | None = None,
        prefix: Name = "",
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
    def patch(name: Name, index: Name | None = None) -> dict[str, Any]:
        """What is known of a patch."""
        return answer_facts.patch_members(collection.named(index, name))

    @router.get(
        "/patches/{name}/{picture}.png", response_class=responses.Response
    )
    async def picture(
        name: Name, picture: Literal["true_colour", "false_colour", "radar"]
    ) -> responses.Response:
        """A patch as a PNG, stretched between percentiles of its own pixels."""
        if picture not in collection.pictures:
            raise collection_lib.UnknownPatchError(
                "The dataset lacks that sensor."
            )
        content = await _answer(collection.picture(name, picture))
        return responses.Response(
            content,
            media_type="image/png",
            headers={"cache-control": "private, max-age=3600"},
        )

    @router.post("/query")
    async def query(asked: Query) -> responses.Response:
        """The patches that look most like the query, nearest first."""
        opened = collection.index(asked.index)
        name = next(
            name for name, x in collection.indexes.items() if x is opened
        )
        made, modality = _read_query(collection, uploads, asked)
        where = asked.where.read()
        found = await _answer(
            collection.search(
                name,
                made,
                modality=modality,
                k=min(asked.k + asked.offset, MOST_HITS),
                where=where,
            )
        )
        return responses.Response(
            await asyncio.to_thread(
                answer_formats.encode,
                answer_formats.without_first(found, asked.offset),
                asked.format,
            ),
            media_type=_MEDIA_TYPES[asked.format],
        )

    @router.post("/uploads", status_code=201)
    async def upload(
        files: list[fastapi.UploadFile], index: Name | None = None
    ) -> dict[str, Any]:
        """Takes a patch of one's own, to be a query.

        Either its GeoTIFFs as in the archive, names ending with that of the
        band (..._B02.tif, ..._VV.tif), or one GeoTIFF with many bands that say
        in their descriptions what they are; its middle 1.2 km count. Kept in
        memory, the newest 256 of them.
        """
        if len(files) > _MOST_FILES:
            raise errors.UserError(f"Expected at most {_MOST_FILES} files.")
        opened = collection.index(index)
        modality = opened.manifest.modality
        content = [(file.filename or "", await file.read()) for file in files]
        # Loads the model at the first upload.
        model = await asyncio.to_thread(lambda: opened.model)
        found = await asyncio.to_thread(
            uploads_lib.read,
            content,
            grids=embedding.input_names(model, modality),
        )
        name = next(n for n, x in collection.indexes.items() if x is opened)
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
                for picture in collection_lib.PICTURES
                if collection_lib.can_draw(found.grids, picture)
            ],
            **answer_facts.patch_members(found.patch),
        }

    @router.get(
        "/uploads/{key}/{picture}.png", response_class=responses.Response
    )
    async def uploaded_picture(
        key: Name, picture: Literal["true_colour", "false_colour", "radar"]
    ) -> responses.Response:
        """A patch that was sent, as a PNG."""
        grids = uploads.get(key).grids
        if not collection_lib.can_draw(grids, picture):
            raise uploads_lib.GoneError("This upload lacks that sensor.")
        content = await asyncio.to_thread(collection_lib.draw, grids, picture)
        return responses.Response(content, media_type="image/png")

    app.include_router(router)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    _add_errors(app)


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


def _read_query(
    collection: collection_lib.Collection,
    uploads: uploads_lib.Uploads,
    asked: Query,
) -> tuple[query_lib.Query, str]:
    """What to search for, and what it is an embedding of."""
    index = collection.index(asked.index)
    modality = index.manifest.modality
    num_kinds = sum(
        (
            bool(asked.positives or asked.negatives),
            asked.upload is not None,
            asked.embedding is not None,
        )
    )
    if num_kinds != 1:
        raise errors.UserError(
            "Expected one of positives (with or without negatives), upload and "
            f"embedding. Received: {num_kinds} of them."
        )
    if asked.upload is not None:
        sent = uploads.get(asked.upload)
        return (
            query_lib.Query(sent.patch, sent.embedding, False, made_of=()),
            sent.modality,
        )
    if asked.embedding is not None:
        if asked.fingerprint != index.manifest.fingerprint:
            raise errors.UserError(
                "Expected as `fingerprint` that of the model that made the "
                "index: only its embeddings are comparable."
            )
        vector = np.array(asked.embedding, np.float32)
        if vector.shape != (index.manifest.dimension,):
            raise errors.UserError(
                f"Expected an embedding of {index.manifest.dimension} numbers. "
                f"Received: {vector.size}."
            )
        return (
            query_lib.Query(
                patch_facts.Patch(name="embedding"),
                vector,
                False,
                made_of=(),
            ),
            modality,
        )
    return (
        collection.query_of_names(
            asked.index, asked.positives, asked.negatives
        ),
        modality,
    )


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


def _add_errors(app: fastapi.FastAPI) -> None:
    """Every error is one sentence, without places of this machine."""

    def add(kind: type[Exception], status: int, sentence: str | None) -> None:
        async def answer(
            request: fastapi.Request, error: Exception
        ) -> responses.Response:
            headers = (
                {"retry-after": str(_RETRY_AFTER_S)} if status == 503 else {}
            )
            return responses.JSONResponse(
                {"error": sentence or str(error)}, status, headers=headers
            )

        app.add_exception_handler(kind, answer)

    add(collection_lib.UnknownPatchError, 404, None)
    add(uploads_lib.GoneError, 404, None)
    add(errors.ArchiveError, 422, "A file of the patch is damaged.")
    add(errors.UserError, 422, None)
    add(batcher.BusyError, 503, "Too many requests wait. Try again.")
    add(TimeoutError, 503, "The answer took too long. Try again.")

    @app.exception_handler(exceptions.RequestValidationError)
    async def explain(
        request: fastapi.Request, error: exceptions.RequestValidationError
    ) -> responses.Response:
        # Without what was sent, which may be long, or not for others' eyes.
        reasons = [
            f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}"
            for fault in error.errors()[:_MOST_FAULTS]
        ]
        return responses.JSONResponse({"error": "; ".join(reasons)}, 422)

    add(Exception, 500, "The server failed to answer this.")
