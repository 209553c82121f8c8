"""Asks a search server from another program; needs neither index nor model.

from ben_tf.retrieval import client

hits = client.query(
"http://127.0.0.1:8000",
positives=["S2A_MSIL2A_20170613T101031_0_45"],
where={"countries": ["Austria"], "labels_any": ["Pastures"]},
)
"""

import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import requests

from ben_tf import errors

_TIMEOUT_S = 90
_PLACE = ("longitude", "latitude")


def query(address: str, *, token: str | None = None, **asked: Any) -> list:
    """Finds the patches that look most like a query.

    Args:
      address: Of the server, such as "http://127.0.0.1:8000".
      token: What the server printed at its start, if it did.
      **asked: Members of the query, as /docs of the server lists them:
        `positives`, `negatives`, `upload` or `embedding`; `where`, `k`,
        `offset`, `index`.

    Returns:
      The hits, nearest first: dicts with `name`, `rank`, `distance`, `labels`,
      `country`, `season`, `split`, `date_utc`, `longitude_deg` and
      `latitude_deg`; None for what nobody knows.

    Raises:
      UserError: No server there, or it refuses the query; in its own words.
    """
    found = _post(address, "query", token, json=asked)
    (answer,) = found["answers"]
    return answer["hits"]


def upload(
    address: str,
    paths: Sequence[str | os.PathLike],
    *,
    token: str | None = None,
    point: tuple[float, float] | None = None,
) -> Mapping[str, Any]:
    """Sends the files of a patch, or of something larger, to be a query.

    Args:
      address: As for `query`.
      paths: Files whose names end with the band, such as "..._B02.tif"; or
        those of a Sentinel-2 product, as /docs of the server lists them.
      token: As for `query`.
      point: Longitude and latitude, degrees, of what counts of the latter;
        None: the middle.

    Returns:
      What the server knows of the patch; "upload" is the key for `query`.

    Raises:
      UserError: As `query`; or a file cannot be read.
    """
    files = [
        ("files", (pathlib.Path(path).name, pathlib.Path(path).read_bytes()))
        for path in paths
    ]
    place = {} if point is None else dict(zip(_PLACE, point, strict=True))
    return _post(address, "uploads", token, files=files, params=place)


def _post(address: str, path: str, token: str | None, **body: Any) -> Any:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        response = requests.post(
            f"{address.rstrip('/')}/api/v1/{path}",
            headers=headers,
            timeout=_TIMEOUT_S,
            **body,
        )
    except requests.RequestException as error:
        raise errors.UserError(
            f"No answer from {address}: {errors.first_line(error)}. Expected "
            "the address that python -m ben_tf.retrieval serve printed."
        ) from error
    try:
        found = response.json()
    except ValueError:
        found = {"error": response.text.strip()[:200]}
    if not response.ok:
        raise errors.UserError(
            f"{address} refuses the request: "
            f"{found.get('error', response.reason)}"
        )
    return found
