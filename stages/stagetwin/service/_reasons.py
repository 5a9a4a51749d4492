"""The reason that people give with what they ask for."""

from __future__ import annotations

from typing import Any

from stagetwin._errors import CommandError

__all__ = ["reason_of"]


def reason_of(request: dict[str, Any]) -> str:
    """Return why somebody asks; empty where nothing is said.

    Raises:
        CommandError: it is no text, or too long.
    """
    reason = request.get("reason", "")
    if not isinstance(reason, str) or len(reason) > 1000:
        raise CommandError("reason must be a text of at most 1000 characters")
    return reason
