"""The API in the words of OpenAPI 3.1; a test holds it against the routes."""

from __future__ import annotations

from typing import Any

__all__ = ["OPENAPI"]

_Json = dict[str, Any]


def _text(**more: Any) -> _Json:
    return {"type": "string", **more}


def _query(name: str, about: str, schema: _Json) -> _Json:
    return {"name": name, "in": "query", "description": about, "schema": schema}


def _path(name: str, about: str) -> _Json:
    return {"name": name, "in": "path", "required": True, "description": about, "schema": _text()}


def _content(schema: _Json) -> _Json:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> _Json:
    return {"$ref": f"#/components/schemas/{name}"}


_PROBLEMS: _Json = {
    code: {"$ref": f"#/components/responses/Problem{code}"} for code in ("400", "401", "403", "503")
}
_NOBODY: list[_Json] = []

_PRIM = _query("prim", "What is at or below this path.", _text(default="/"))
_FULL = _query("full", "1: rows as the service has them, with their depth.", _text(enum=["0", "1"]))


def _limit(most: int) -> _Json:
    return _query("limit", "Rows at most.", {"type": "integer", "minimum": 1, "maximum": most})


def _get(about: str, name: str, *parameters: _Json, schema: str = "Rows", **more: Any) -> _Json:
    return {
        "operationId": name,
        "summary": about,
        "parameters": list(parameters),
        "responses": {
            "200": {"description": "What was asked for.", "content": _content(_ref(schema))},
            **_PROBLEMS,
            **more,
        },
    }


def _post(
    about: str, name: str, body: str, *parameters: _Json, status: str = "200", needed: bool = False
) -> _Json:
    return {
        "operationId": name,
        "summary": about,
        "parameters": list(parameters),
        "requestBody": {"required": needed, "content": _content(_ref(body))},
        "responses": {
            status: {"description": "Taken.", "content": _content({"type": "object"})},
            **_PROBLEMS,
            "409": {"$ref": "#/components/responses/Problem409"},
        },
    }


def _problem(title: str) -> _Json:
    return {
        "description": title,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


_REASON: _Json = {"reason": _text(maxLength=1000)}
_COMMAND_ID = _path("id", "Id of the command; as many of its first characters as tell it.")
_JOB_ID = _path("id", "Id of the job, as it was begun.")
_ALARM_ID = _path("id", "Id of the alarm: prim path and name, `World/P101.flow_low`.")

OPENAPI: _Json = {
    "openapi": "3.1.0",
    "info": {
        "title": "stagetwin",
        "version": "1",
        "description": "Values, commands and alarms of a live digital twin. Live values come over "
        "the WebSocket `/sync`.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "servers": [{"url": "/"}],
    "security": [{"bearer": []}, {"session": []}],
    "paths": {
        "/api/v1/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This description.",
                "security": _NOBODY,
                "responses": {
                    "200": {"description": "OpenAPI 3.1.", "content": _content({"type": "object"})}
                },
            }
        },
        "/api/v1/values": {
            "get": _get(
                "Values, a row for each signal.",
                "values",
                _PRIM,
                _query(
                    "quality",
                    "Only those of this quality.",
                    _text(enum=["good", "uncertain", "bad", "stale"]),
                ),
                _limit(100_000),
                schema="Values",
            )
        },
        "/api/v1/values/{path}": {
            "get": _get(
                "One signal; of an array a row for each element.",
                "value",
                _path("path", "Prim path and signal, `World/P101.flow`."),
                schema="Values",
                **{"404": {"$ref": "#/components/responses/Problem404"}},
            )
        },
        "/api/v1/commands": {
            "get": _get(
                "Commands, newest first.",
                "commands",
                _PRIM,
                _query("open", "1: only those that have not ended.", _text(enum=["0", "1"])),
                _limit(1000),
                _FULL,
            ),
            "post": _post(
                "Publish a request for a command. The same id with the same content is the same "
                "request; with other content it is an error.",
                "publish",
                "Publish",
                status="202",
                needed=True,
            ),
        },
        "/api/v1/commands/{id}": {
            "get": _get("One command with its history.", "command", _COMMAND_ID, schema="Any")
        },
        "/api/v1/commands/{id}/{turn}": {
            "post": _post(
                "Approve, deny or cancel a command.",
                "turn_command",
                "CommandTurn",
                _COMMAND_ID,
                {
                    **_path("turn", "What to do."),
                    "schema": _text(enum=["approve", "deny", "cancel"]),
                },
            )
        },
        "/api/v1/targets": {"get": _get("What can be commanded.", "targets", _PRIM, _FULL)},
        "/api/v1/models": {
            "get": _get(
                "Models: how they stand, and what they expect beside what is measured.",
                "models",
                _PRIM,
                _limit(1000),
                _FULL,
            )
        },
        "/api/v1/rehearsals": {
            "post": _post("Try a command on the models.", "rehearse", "Rehearsal", needed=True)
        },
        "/api/v1/what-if": {
            "post": _post("Begin futures of the present; a job.", "what_if", "WhatIf", needed=True)
        },
        "/api/v1/jobs/{id}": {
            "get": _get("How a job of one's own stands.", "job", _JOB_ID, schema="Any")
        },
        "/api/v1/jobs/{id}/cancel": {
            "post": _post("Give a job of one's own up.", "cancel_job", "Any", _JOB_ID)
        },
        "/api/v1/alarms": {
            "get": _get(
                "Alarms, worst and newest first.",
                "alarms",
                _PRIM,
                _query("show", "Which.", _text(enum=["active", "all", "history"])),
                _limit(5000),
                _FULL,
            )
        },
        "/api/v1/alarms/{id}/{turn}": {
            "post": _post(
                "Acknowledge, shelve or unshelve an alarm.",
                "turn_alarm",
                "AlarmTurn",
                _ALARM_ID,
                {
                    **_path("turn", "What to do."),
                    "schema": _text(enum=["acknowledge", "shelve", "unshelve"]),
                },
            )
        },
        "/api/v1/topics": {"get": _get("Topics of the review.", "topics", _PRIM, _FULL)},
        "/health": {
            "get": {
                "operationId": "health",
                "summary": "Whether the service runs; more of it to those who are known.",
                "security": [{}, {"bearer": []}, {"session": []}],
                "responses": {
                    code: {"description": about, "content": _content(_ref("Health"))}
                    for code, about in (("200", "It runs."), ("503", "It does not answer."))
                },
            }
        },
        "/metrics": {
            "get": {
                "operationId": "metrics",
                "summary": "Metrics for Prometheus; to those who may read `/`, and to this host.",
                "security": [{}, {"bearer": []}, {"session": []}],
                "responses": {
                    "200": {
                        "description": "Text exposition format.",
                        "content": {"text/plain": {"schema": _text()}},
                    },
                    "401": {"$ref": "#/components/responses/Problem401"},
                    "403": {"$ref": "#/components/responses/Problem403"},
                },
            }
        },
    },
    "components": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": "stagetwin",
                "description": "Set by /login; its name has the port behind it, and `__Host-` "
                "before it under TLS.",
            },
        },
        "responses": {
            "Problem400": _problem("The request is not as it must be."),
            "Problem401": _problem("Nobody that is known here asks."),
            "Problem403": _problem("Whoever asks may not."),
            "Problem404": _problem("There is no such thing, or whoever asks may not see it."),
            "Problem409": _problem("The service refuses, and says why."),
            "Problem503": _problem("The service does not answer, or has too much to do."),
        },
        "schemas": {
            "Any": {"type": "object"},
            "Problem": {
                "type": "object",
                "description": "RFC 9457.",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": _text(),
                    "title": _text(),
                    "status": {"type": "integer"},
                    "detail": _text(),
                },
            },
            "Rows": {
                "type": "object",
                "required": ["rows", "count"],
                "properties": {
                    "count": {"type": "integer"},
                    "rows": {"type": "array", "items": {"type": "object"}},
                },
            },
            "Values": {
                "type": "object",
                "required": ["rows", "count", "tick", "time"],
                "properties": {
                    "tick": {"type": "integer", "description": "Tick of the service."},
                    "time": {"type": "number", "description": "Its clock [s, Unix]."},
                    "count": {"type": "integer"},
                    "rows": {"type": "array", "items": _ref("Value")},
                },
            },
            "Value": {
                "type": "object",
                "required": ["path", "prim", "signal", "value", "unit", "quality", "time"],
                "properties": {
                    "path": _text(description="Prim path and signal."),
                    "prim": _text(),
                    "signal": _text(),
                    "element": {"type": "integer", "description": "Index in an array, or -1."},
                    "label": _text(),
                    "value": {
                        "type": ["number", "string", "boolean", "null"],
                        "description": "A vector or array as JSON text, with x, y, z, w beside it.",
                    },
                    **{axis: {"type": "number"} for axis in "xyzw"},
                    "unit": _text(description="UCUM."),
                    "type": _text(description="USD type."),
                    "quality": _text(enum=["good", "uncertain", "bad", "stale"]),
                    "status": {"type": "integer", "description": "Raw status code."},
                    "time": {"type": ["string", "null"], "format": "date-time"},
                    "age": {"type": ["number", "null"], "description": "[s]"},
                },
            },
            "Publish": {
                "type": "object",
                "required": ["target", "value"],
                "properties": {
                    "id": _text(description="UUID; made by the service if left out."),
                    "target": _text(description="Prim path and command."),
                    "value": {"description": "Of the command's type."},
                    "revision": {"type": "integer", "description": "Revision that was seen."},
                    "reason": _text(maxLength=1000),
                },
            },
            "Rehearsal": {
                "type": "object",
                "required": ["target", "value"],
                "properties": {
                    "target": _text(description="Prim path and command."),
                    "value": {"description": "Of the command's type."},
                    "horizon": {"type": "number", "description": "How far ahead [s]."},
                    "budget": {"type": "number", "description": "How long it may take [s]."},
                },
            },
            "WhatIf": {
                "type": "object",
                "required": ["scenario"],
                "properties": {
                    "scenario": {"type": "object", "description": "As in a scenario's file."},
                    "from": _text(description="Name of a saved present; else the one of now."),
                    "stage": {"type": "boolean", "description": "Write a what-if stage too."},
                },
            },
            "CommandTurn": {
                "type": "object",
                "properties": {**_REASON, "hash": _text(description="Of the command as seen.")},
            },
            "AlarmTurn": {
                "type": "object",
                "properties": {
                    **_REASON,
                    "comment": _text(maxLength=1000),
                    "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 28800},
                },
            },
            "Health": {
                "type": "object",
                "required": ["status"],
                "properties": {
                    "status": _text(enum=["ok", "unavailable"]),
                    "tick": {"type": "integer"},
                    "time": {"type": "number"},
                    "epoch": {"type": "integer"},
                    "clients": {"type": "integer"},
                    "signals": {"type": "integer"},
                },
            },
        },
    },
}
