"""Errors over HTTP, as RFC 9457 has them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response

__all__ = ["Json", "problem", "status_of"]

_STATUS = {
    "AccessError": 403,
    "AlarmError": 409,
    "CommandError": 409,
    "ReviewError": 409,
    "KeyError": 400,
    "TypeError": 400,
    "ValueError": 400,
}


class Json(JSONResponse):
    """JSON with null for a number that is not finite."""

    def render(self, content: Any) -> bytes:
        """Return a body."""
        return msgspec.json.encode(content)


class _Problem(Json):
    media_type = "application/problem+json"


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as a response."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    more = dict(headers or {})
    if status == 401:
        more.setdefault("WWW-Authenticate", 'Bearer realm="stagetwin"')
    return _Problem(body, status, more)


def status_of(kind: str) -> int:
    """Return the HTTP status of an error of the service by its name."""
    return _STATUS.get(kind, 400)


def no_content(headers: dict[str, str] | None = None) -> Response:
    """Return an empty response."""
    return Response(status_code=204, headers=headers)
