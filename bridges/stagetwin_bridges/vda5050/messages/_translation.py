"""From the words of 3.0 to those of 2.1 and back, over decoded JSON: how, not which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

__all__ = ["Fold", "Shape", "down", "up"]

Fold = Callable[[dict[str, Any], str, list[str]], None]
"""Changes an object in 3.0's names in place before it goes down: the object, its path, and the list
of what is lost."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How an object of 3.0 looks in 2.1. All names are 3.0's unless said otherwise.

    Attributes:
        names: 2.1's names of fields that are called otherwise there.
        parts: shapes of the fields that are objects, or arrays of objects.
        words: by field, 2.1's words for words that it has not; of texts and arrays of texts.
        back: by field, 3.0's words for those of 2.1 that it has not.
        absent: fields that 2.1 does not have.
        fold: what else changes on the way down.
        unfold: what else changes on the way up, in an object in 3.0's names, in place.
        made: fields that `unfold` makes or changes.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Shape] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    back: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    fold: Fold | None = None
    unfold: Callable[[dict[str, Any]], None] | None = None
    made: frozenset[str] = frozenset()


def down(shape: Shape, document: dict[str, Any], path: str, lost: list[str]) -> dict[str, Any]:
    """Return an object of 3.0 as 2.1 has it.

    Args:
        shape: of the object.
        document: the object; not changed.
        path: to it, for `lost`; empty, or with a dot at its end.
        lost: what 2.1 cannot say is appended, as paths in 3.0's names.
    """
    if shape.fold is not None:
        document = dict(document)
        shape.fold(document, path, lost)
    out: dict[str, Any] = {}
    for name, value in document.items():
        if name in shape.absent:
            lost.append(f"{path}{name}: left out")
            continue
        part = shape.parts.get(name)
        if part is not None:
            value = _each(value, partial(_down_at, part, lost), f"{path}{name}")
        elif words := shape.words.get(name):
            back = shape.back.get(name, {})
            value = _other_words(words, value)
            if value != document[name]:
                _tell(document[name], value, back, f"{path}{name}", lost)
        out[shape.names.get(name, name)] = value
    return out


def up(shape: Shape, document: dict[str, Any]) -> dict[str, Any]:
    """Return an object of 2.1 as 3.0 has it; names that neither knows stay as they are."""
    names = {old: new for new, old in shape.names.items()}
    out: dict[str, Any] = {}
    for name, value in document.items():
        name = names.get(name, name)
        part = shape.parts.get(name)
        if part is not None:
            value = _each(value, partial(_up_at, part), "")
        elif words := shape.back.get(name):
            value = _other_words(words, value)
        out[name] = value
    if shape.unfold is not None:
        shape.unfold(out)
    return out


def _down_at(shape: Shape, lost: list[str], document: dict[str, Any], path: str) -> dict[str, Any]:
    return down(shape, document, path, lost)


def _up_at(shape: Shape, document: dict[str, Any], _path: str) -> dict[str, Any]:
    return up(shape, document)


def _each(value: Any, change: Callable[[dict[str, Any], str], dict[str, Any]], path: str) -> Any:
    """Return an object, or an array of objects, changed; anything else is left to the schema."""
    if isinstance(value, dict):
        return change(value, f"{path}.")
    if isinstance(value, (list, tuple)):
        return [
            change(item, f"{path}[{at}].") if isinstance(item, dict) else item
            for at, item in enumerate(value)
        ]
    return value


def _other_words(words: Mapping[str, str], value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        said = [words.get(item, item) if _is_text(item) else item for item in value]
        if said == list(value) or not all(map(_is_text, said)):
            return value
        # Two words may have become one.
        return list(dict.fromkeys(said))
    return words.get(value, value) if _is_text(value) else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _tell(before: Any, after: Any, back: Mapping[str, str], path: str, lost: list[str]) -> None:
    """Say which words do not come back as they were."""
    single = isinstance(before, str)
    there = {back.get(word, word) for word in ([after] if single else after)}
    for word in [before] if single else before:
        if word not in there:
            lost.append(f"{path}: {word} has no equivalent")
