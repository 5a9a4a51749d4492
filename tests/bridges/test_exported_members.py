"""The public surface of the bridges: sorted, complete and explained."""

from __future__ import annotations

import importlib
import inspect

import pytest

import stagetwin
from stagetwin_bridges import _errors

PUBLIC = [
    "stagetwin_bridges",
    "stagetwin_bridges.broker",
    "stagetwin_bridges.fields",
    "stagetwin_bridges.mqtt",
    "stagetwin_bridges.recording",
    "stagetwin_bridges.vda5050",
    "stagetwin_bridges.vda5050.messages",
    "stagetwin_bridges.vda5050.telemetry",
    "stagetwin_bridges.vda5050.vehicle",
    "stagetwin_bridges.vda5050.virtual",
]


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_sorted_and_explained(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert list(module.__all__) == sorted(set(module.__all__), key=order)
    for each in module.__all__:
        value = getattr(module, each)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), each


def test_every_error_is_in_the_tree() -> None:
    for name in _errors.__all__:
        assert issubclass(getattr(_errors, name), stagetwin.StagetwinError)
        assert f"- {name}" in (_errors.__doc__ or "")
