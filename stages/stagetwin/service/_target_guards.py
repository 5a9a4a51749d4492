"""What a command asks before it may move a machine, as a viewer shows it beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from stagetwin.bindings import Asset, CommandBinding
from stagetwin.commands import Inputs, permits

__all__ = ["guards_said"]


def guards_said(
    binding: CommandBinding,
    asset: Asset | None,
    inputs: Inputs | None,
    may_read: Callable[[str], bool],
) -> dict[str, Any]:
    """Return the guards of a command with what their inputs say now.

    It is for people to look at: the command path judges by itself, when it is asked.

    Args:
        binding: the command, of the guards' stage.
        asset: the asset it commands.
        inputs: what is known of the plant; None on a service that takes no commands.
        may_read: tells whether whoever asks may see what is at a path.
    """
    remote = asset.remote if asset is not None else ""
    return {
        "asset": binding.asset,
        "roles": list(asset.roles) if asset is not None else [],
        "allowed": list(binding.tokens),
        "expiry": _finite(binding.expiry),
        "tolerance": _finite(binding.tolerance),
        "rateLimit": _finite(binding.rate_limit),
        "settleTime": _finite(binding.settle_time),
        "remote": _said(remote, inputs, may_read) if remote else None,
        "permissives": [_said(path, inputs, may_read) for path in binding.permissives],
    }


def _said(path: str, inputs: Inputs | None, may_read: Callable[[str], bool]) -> dict[str, Any]:
    known = inputs.of(path) if inputs is not None and may_read(path) else []
    first = known[0] if known else None
    return {
        "path": first.binding.path if first is not None else path,
        "value": first.value if first is not None else None,
        "quality": first.quality.token if first is not None else "",
        "permits": permits(known),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
