"""What clients may ask, checked, and the query that it is."""

import datetime
from typing import Annotated
from typing import Literal

import numpy as np
import pydantic

from ben_tf import errors
from ben_tf.retrieval import patch_facts
from ben_tf.retrieval import query as query_lib
from ben_tf.retrieval import where as where_lib
from ben_tf.retrieval.server import collection as collection_lib
from ben_tf.retrieval.server import examples
from ben_tf.retrieval.server import uploads as uploads_lib

MOST_HITS = 1000
_MOST_EXAMPLES = 100
_MOST_NAMES = 10_000

Name = Annotated[str, pydantic.Field(max_length=255)]
Picture = Literal["true_colour", "false_colour", "radar"]
Longitude = Annotated[float, pydantic.Field(ge=-180, le=180)]
Latitude = Annotated[float, pydantic.Field(ge=-90, le=90)]
Names = Annotated[list[Name], pydantic.Field(max_length=_MOST_EXAMPLES)]


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

    @pydantic.model_validator(mode="after")
    def _check_page(self) -> "Query":
        if self.k + self.offset > MOST_HITS:
            raise ValueError(f"expected at most {MOST_HITS} with offset")
        return self


def read_point(
    longitude: float | None, latitude: float | None
) -> tuple[float, float] | None:
    """A place in degrees; None where no place is given.

    Raises:
      UserError: One of the two is missing.
    """
    if longitude is None and latitude is None:
        return None
    if longitude is None or latitude is None:
        raise errors.UserError("Expected both longitude and latitude.")
    return longitude, latitude


def read_query(
    collection: collection_lib.Collection,
    uploads: uploads_lib.Uploads,
    asked: Query,
) -> tuple[query_lib.Query | examples.Examples, str]:
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
        examples.Examples(tuple(asked.positives), tuple(asked.negatives)),
        modality,
    )
