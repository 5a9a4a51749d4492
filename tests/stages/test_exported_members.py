"""The public surface: every name a package shows is in its `__all__`, sorted, and nothing else."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import stagetwin
from stagetwin import _errors


def public_modules() -> list[str]:
    """Names of the packages and modules of the core that no underscore hides."""
    names = ["stagetwin"]
    for module in pkgutil.walk_packages(stagetwin.__path__, "stagetwin."):
        parts = module.name.split(".")
        if not any(part.startswith("_") for part in parts):
            names.append(module.name)
    return names


def shown(module: ModuleType) -> set[str]:
    """Names of the classes and functions of the core that a package re-exports or defines."""
    found = set()
    for name, value in vars(module).items():
        if name.startswith("_") or not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        home = value.__module__
        inside = home.startswith(f"{module.__name__}._") if hasattr(module, "__path__") else False
        if home == module.__name__ or inside:
            found.add(name)
    return found


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


@pytest.mark.parametrize("name", public_modules())
def test_all_is_sorted_and_complete(name: str) -> None:
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert [each for each in names if not hasattr(module, each)] == []
    assert list(names) == sorted(set(names), key=order)
    if name != "stagetwin.cli":  # a program, whose package puts its commands together
        assert shown(module) - set(names) == set()


@pytest.mark.parametrize("name", public_modules())
def test_every_public_name_is_explained(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    unexplained = [
        each
        for each in getattr(module, "__all__", [])
        if (inspect.isclass(value := getattr(module, each)) or inspect.isfunction(value))
        and not inspect.getdoc(value)
    ]
    assert unexplained == []


def test_every_error_is_a_stagetwin_error_and_in_the_tree() -> None:
    for name in _errors.__all__:
        error = getattr(_errors, name)
        assert issubclass(error, _errors.StagetwinError)
        assert f"- {name}" in (_errors.__doc__ or "")
        assert getattr(stagetwin, name) is error
