"""What is served where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from stagetwin.gateway import _wire as wire
from stagetwin.gateway._api import Api
from stagetwin.gateway._clients import Clients
from stagetwin.gateway._config import origin_of
from stagetwin.gateway._door import Door
from stagetwin.gateway._files import Files
from stagetwin.gateway._guard import Guard, TooLarge, content_security_policy
from stagetwin.gateway._link import Link
from stagetwin.gateway._pages import Pages
from stagetwin.gateway._problems import problem
from stagetwin.gateway._scene import Scenes
from stagetwin.gateway._store import Store
from stagetwin.gateway._sync import SyncEndpoint

__all__ = ["make_app"]

Arguments = dict[str, Callable[[str], Any]]


def make_app(
    opening: wire.Opening,
    store: Store,
    door: Door,
    clients: Clients,
    link: Link,
    scenes: Scenes,
    files: Files,
) -> Starlette:
    """Return the whole of what is served."""
    api = Api(store, door, clients, link)
    pages = Pages(door, files, opening.stage)
    sync = SyncEndpoint(store, door, clients, link)
    commands: Arguments = {"prim": str, "open": lambda text: text == "1", "limit": int}
    alarms: Arguments = {"prim": str, "show": str, "limit": int}
    routes = [
        WebSocketRoute("/sync", sync.serve),
        Route("/health", api.health),
        Route("/metrics", api.metrics),
        Route("/login", pages.login_form, methods=["GET"]),
        Route("/login", pages.login, methods=["POST"]),
        Route("/logout", pages.logout, methods=["POST"]),
        Route("/scene/manifest.json", scenes.manifest),
        Route("/scene/glb/{name}.glb", scenes.model),
        Route("/api/v1/openapi.json", api.openapi),
        Route("/api/v1/values", api.known(api.values)),
        Route("/api/v1/values/{path:path}", api.known(api.value)),
        Route("/api/v1/commands", api.known(api.listed("commands", commands)), methods=["GET"]),
        Route("/api/v1/commands", api.known(api.publish), methods=["POST"]),
        Route("/api/v1/commands/{id}", api.known(api.command)),
        Route("/api/v1/commands/{id}/{turn}", api.known(api.turn_command), methods=["POST"]),
        Route("/api/v1/targets", api.known(api.listed("targets", {"prim": str}))),
        Route("/api/v1/alarms", api.known(api.listed("alarms", alarms))),
        Route("/api/v1/alarms/{id:path}/{turn}", api.known(api.turn_alarm), methods=["POST"]),
        Route("/api/v1/models", api.known(api.listed("models", {"prim": str, "limit": int}))),
        Route("/api/v1/rehearsals", api.known(api.asked("rehearse")), methods=["POST"]),
        Route("/api/v1/what-if", api.known(api.asked("what_if")), methods=["POST"]),
        Route("/api/v1/jobs/{id}", api.known(api.asked("job"))),
        Route("/api/v1/jobs/{id}/cancel", api.known(api.asked("cancel_job")), methods=["POST"]),
        Route("/api/v1/topics", api.known(api.listed("topics", {"prim": str}))),
        Route("/", pages.index),
        Route("/{name:path}", pages.file),
    ]
    guard = Middleware(
        Guard,
        host=opening.host,
        origins=[origin_of(origin) for origin in opening.origins],
        secure=bool(opening.certificate),
        policy=content_security_policy(files.import_maps),
    )
    return Starlette(
        routes=routes,
        middleware=[guard],
        exception_handlers={
            HTTPException: _http_error,
            TooLarge: _too_large,
            ClientDisconnect: _cut_off,
            500: _failed,
        },
    )


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, dict(error.headers or {}))


async def _cut_off(_request: Request, _error: Exception) -> Response:
    # Nobody reads this; that a client left in the middle of its body is no fault of ours.
    return problem(400, "the body ended before its end")


async def _too_large(_request: Request, _error: Exception) -> Response:
    return problem(413, "the body is too large")


async def _failed(_request: Request, _error: Exception) -> Response:
    return problem(500, "the gateway failed at this; its log says why")
