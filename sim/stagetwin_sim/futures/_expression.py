"""Costs: arithmetic on measures, and nothing else."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from stagetwin_sim._errors import ScenarioError

__all__ = ["Expression", "identifier"]

_TWO: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_ONE: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_CALLS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs}


def identifier(name: str) -> str:
    """Return a measure's name as expressions write it."""
    return re.sub(r"\W", "_", name)


class Expression:
    """Numbers, names, `+ - * / **`, `min`, `max` and `abs`.

    Args:
        text: of it.
        names: that it may use, as `identifier` gives them.

    Raises:
        ScenarioError: it is something else, or uses another name.
    """

    def __init__(self, text: str, names: Mapping[str, object] | list[str]) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError) as error:
            raise ScenarioError(f"{text!r} is no expression: {error}") from None
        self._check(self._tree, set(names))

    def _check(self, node: ast.AST, names: set[str]) -> None:
        match node:
            case ast.Constant(value=value) if type(value) in (int, float):
                return
            case ast.Name(id=name):
                if name not in names:
                    known = ", ".join(sorted(names)) or "none"
                    raise ScenarioError(f"{self.text!r}: no measure {name}; there are {known}")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _TWO:
                self._check(left, names)
                self._check(right, names)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _ONE:
                self._check(operand, names)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS:
                if not args:
                    raise ScenarioError(f"{self.text!r}: {name} of nothing")
                for each in args:
                    self._check(each, names)
            case _:
                raise ScenarioError(
                    f"{self.text!r}: only numbers, measures, + - * / **, min, max and abs"
                )

    def __call__(self, values: Mapping[str, float]) -> float:
        """Return what it comes to; NaN where it comes to nothing."""
        try:
            result = float(self._value(self._tree, values))
        except (ArithmeticError, TypeError, ValueError):
            return math.nan
        return result

    def _value(self, node: ast.AST, values: Mapping[str, float]) -> float:
        match node:
            case ast.Constant(value=value):
                return float(value)  # type: ignore[arg-type]
            case ast.Name(id=name):
                return values[name]
            case ast.BinOp(left=left, op=op, right=right):
                return _TWO[type(op)](self._value(left, values), self._value(right, values))
            case ast.UnaryOp(op=op, operand=operand):
                return _ONE[type(op)](self._value(operand, values))
            case ast.Call(func=ast.Name(id=name), args=args):
                given = [self._value(each, values) for each in args]
                # Of one number, min and max are that number.
                return float(_CALLS[name](*given) if name == "abs" else _CALLS[name](given))
        raise AssertionError(node)
