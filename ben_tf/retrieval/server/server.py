"""Serves the search page and the interface for programs."""

import contextlib
import ipaddress
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator
from collections.abc import Iterator
from collections.abc import Sequence

import fastapi
import uvicorn
from fastapi import responses

import ben_tf
from ben_tf import errors
from ben_tf.pages import page
from ben_tf.retrieval import embedding
from ben_tf.retrieval.server import api
from ben_tf.retrieval.server import collection as collection_lib
from ben_tf.retrieval.server import connection
from ben_tf.retrieval.server import drawings
from ben_tf.retrieval.server import guard
from ben_tf.retrieval.server import scene as scene_lib
from ben_tf.retrieval.server import uploads

LOOPBACK = "127.0.0.1"
_MOST_BODY_BYTES = 64 << 20
_BODY_WITHIN_S = 30.0
_IDLE_S = 15
# Connections at a time; more are answered with 503.
_MOST_CONNECTIONS = 512
_DRAIN_WITHIN_S = 30
_HTTP_PORT = 80
_ASSETS = {
    "page.css": "text/css",
    "search.css": "text/css",
    "search.js": "text/javascript",
    "search_map.js": "text/javascript",
    "search_points.js": "text/javascript",
}


def make_app(
    collection: collection_lib.Collection,
    scene: scene_lib.Scene | None = None,
) -> fastapi.FastAPI:
    """The application without its guard.

    Args:
      collection: What is served; closed with the application.
      scene: What clients may choose windows of.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        yield
        collection.close()

    app = fastapi.FastAPI(
        title="BigEarthNet-MM search",
        version=ben_tf.__version__,
        description="Patches that look like a query. Places are in degrees "
        "(WGS 84), dates in UTC, distances as each index says.",
        # FastAPI's own pages load scripts from another site.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    api.add_routes(app, collection, uploads.Uploads(), scene)

    @app.get("/", response_class=responses.HTMLResponse)
    def search_page() -> str:
        return page.render_served(
            "search",
            synthetic=collection.synthetic,
            most_megabytes=_MOST_BODY_BYTES // 1_000_000,
        )

    @app.get("/docs", response_class=responses.HTMLResponse)
    def docs() -> str:
        return page.render_served("interface", paths=_paths(app))

    @app.get("/assets/{name}", response_class=responses.Response)
    def asset(name: str) -> responses.Response:
        if name not in _ASSETS:
            raise drawings.UnknownPatchError("No such file.")
        return responses.Response(
            page.read_asset(name), media_type=_ASSETS[name]
        )

    return app


def serve(
    *,
    indexes: Sequence[str | os.PathLike],
    data_dir: str | os.PathLike | None = None,
    saved_model: str | os.PathLike | None = None,
    host: str = LOOPBACK,
    port: int = 8000,
    token: str | None = None,
    host_names: Sequence[str] = (),
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
) -> None:
    """Serves until it is interrupted, then answers what waits.

    Args:
      indexes: As for `collection.Collection`.
      data_dir: Likewise.
      saved_model: Likewise.
      host: Address to listen at.
      port: 0 for any that is free.
      token: What requests must show; required unless `host` is this machine's
        own. "" makes one up.
      host_names: Names that clients call this server by, besides `host`.
      s2_scene: A scene that clients may choose windows of: as for
        `layers.open_layers`. Nothing but that is opened for them.
      s1_scene: Likewise.

    Raises:
      UserError: The address cannot be taken, or others could reach it without
        a token; or the scene cannot be read.
    """
    if not _is_loopback(host) and token is None:
        raise errors.UserError(
            f"At {host} others can reach the server. Give a `token` that they "
            "must know, an empty one to have it made, or leave `host` out."
        )
    if token == "":
        token = secrets.token_urlsafe(24)
    app = open_app(
        indexes,
        data_dir=data_dir,
        saved_model=saved_model,
        s2_scene=s2_scene,
        s1_scene=s1_scene,
    )
    with _listening(app, host, port, token, host_names) as (
        made,
        listener,
        address,
    ):
        address += "/" if token is None else f"/?token={token}"
        print(f"The search page is at {address}", flush=True)
        print("Press Ctrl+C to end it.", flush=True)
        # That is how it is meant to end.
        with contextlib.suppress(KeyboardInterrupt):
            made.run(sockets=[listener])


@contextlib.contextmanager
def running(
    *indexes: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    saved_model: str | os.PathLike | None = None,
    token: str | None = None,
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
) -> Iterator[str]:
    """Serves this machine from a thread, for as long as the block takes.

        with server.running("index") as address:
            hits = client.query(address, positives=[...])

    Args:
      *indexes: As for `collection.Collection`.
      data_dir: Likewise.
      saved_model: Likewise.
      token: What requests must show; None: nothing.
      s2_scene: As for `serve`.
      s1_scene: Likewise.

    Yields:
      The address, for `client` and for a browser.

    Raises:
      UserError: As `collection.Collection`; or the scene cannot be read.
    """
    app = open_app(
        indexes,
        data_dir=data_dir,
        saved_model=saved_model,
        s2_scene=s2_scene,
        s1_scene=s1_scene,
    )
    with _listening(app, LOOPBACK, 0, token, ()) as (
        made,
        listener,
        address,
    ):
        # Until it has started, requests wait at the socket.
        thread = threading.Thread(target=made.run, args=([listener],))
        thread.start()
        try:
            yield address
        finally:
            made.should_exit = True
            thread.join()


def open_app(
    indexes: Sequence[str | os.PathLike],
    *,
    data_dir: str | os.PathLike | None = None,
    saved_model: str | os.PathLike | None = None,
    s2_scene: str | os.PathLike | None = None,
    s1_scene: str | os.PathLike | None = None,
) -> fastapi.FastAPI:
    """The application of what is opened; its arguments are those of `serve`.

    Raises:
      UserError: As `collection.Collection`; or the scene cannot be read.
    """
    collection = collection_lib.Collection(
        indexes, data_dir=data_dir, saved_model=saved_model
    )
    scene = None
    if s2_scene or s1_scene:
        first = collection.index(None)
        scene = scene_lib.Scene(
            s2_scene=s2_scene,
            s1_scene=s1_scene,
            grids=embedding.input_names(first.model, first.manifest.modality),
        )
    return make_app(collection, scene)


@contextlib.contextmanager
def _listening(
    app: fastapi.FastAPI,
    host: str,
    port: int,
    token: str | None,
    host_names: Sequence[str],
) -> Iterator[tuple[uvicorn.Server, socket.socket, str]]:
    """A server that can be run, where it listens, and its address.

    Raises:
      UserError: The address cannot be taken.
    """
    with _listen(host, port) as listener:
        port = listener.getsockname()[1]
        guarded = guard.Guard(
            app,
            hosts=allowed_hosts(host, port, host_names),
            token=token,
            most_body_bytes=_MOST_BODY_BYTES,
            body_within_s=_BODY_WITHIN_S,
        )
        made = uvicorn.Server(
            uvicorn.Config(
                guarded,
                http=connection.Connection,
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_IDLE_S,
                timeout_graceful_shutdown=_DRAIN_WITHIN_S,
                ws="none",
            )
        )
        yield made, listener, f"http://{_in_address(host)}:{port}"


def allowed_hosts(
    host: str, port: int, host_names: Sequence[str] = ()
) -> set[str]:
    """What the Host of a request may be: names with the port.

    Args:
      host: Address that the server listens at.
      port: Its port; browsers leave that of HTTP out.
      host_names: Other names that clients call it by.
    """
    names = {host, *host_names}
    if _is_loopback(host):
        names |= {"127.0.0.1", "localhost", "::1"}
    shown = set(map(_in_address, names))
    with_port = {f"{name}:{port}" for name in shown}
    return with_port | (shown if port == _HTTP_PORT else set())


def _in_address(host: str) -> str:
    """A host as addresses hold it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
      UserError: The address cannot be taken.
    """
    try:
        bare = host.strip("[]")
        family = socket.AF_INET6 if ":" in bare else socket.AF_INET
        return socket.create_server((bare, port), family=family)
    except OSError as error:
        raise errors.UserError(
            f"Cannot listen at {host}, port {port}: {error.strerror}. Choose "
            "another `port`, or 0 for any that is free."
        ) from error


def _paths(app: fastapi.FastAPI) -> list[dict[str, object]]:
    """Of each address: method, parameters and what it does, for people."""
    found = []
    for path, methods in app.openapi()["paths"].items():
        for method, described in methods.items():
            found.append(
                {
                    "path": path,
                    "method": method.upper(),
                    "description": described.get("description", ""),
                    "parameters": [
                        parameter["name"]
                        for parameter in described.get("parameters", ())
                    ],
                }
            )
    return found
