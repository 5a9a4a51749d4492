"""Address templates: one asset, referenced many times, is many live machines."""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import lru_cache

from pxr import Usd

from stagetwin._errors import TemplateError

__all__ = ["Variables", "placeholders", "resolve"]

INSTANCE = "instance"
_FORMATTER = string.Formatter()


class Variables(Mapping[str, str]):
    """What a prim offers to the templates of its signals.

    `twin:id`, `prim.name`, `prim.path`, `signal`, and `twin:var:<name>` of the nearest ancestor
    that has it. Looked up on demand, because most templates use one or two.
    """

    def __init__(self, prim: Usd.Prim, signal: str, extra: Mapping[str, str] | None = None) -> None:
        self._prim = prim
        self._fixed = {
            "prim.name": prim.GetName(),
            "prim.path": str(prim.GetPath()),
            "signal": signal,
            **(extra or {}),
        }

    def __getitem__(self, name: str) -> str:
        if name in self._fixed:
            return self._fixed[name]
        if name == "twin:id" or name.startswith("twin:var:"):
            prim = self._prim
            while prim and not prim.IsPseudoRoot():
                value = prim.GetAttribute(name).Get() if prim.HasAttribute(name) else None
                if value is not None and value != "":
                    return str(value)
                prim = prim.GetParent()
        raise KeyError(name)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._fixed)

    def __len__(self) -> int:
        return len(self._fixed)


@lru_cache(maxsize=4096)
def placeholders(template: str) -> tuple[str, ...]:
    """Return the names in braces, in order.

    Raises:
        TemplateError: unbalanced braces, an empty name, or a conversion or format after it.
    """
    try:
        parts = list(_FORMATTER.parse(template))
    except ValueError as error:
        raise TemplateError(f"template {template!r}: {error}") from None
    names: list[str] = []
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        # `twin:id` parses as field `twin` with format `id`: the colon is part of our names.
        full = f"{name}:{spec}" if spec else name
        if not full or conversion or not name:
            raise TemplateError(f"template {template!r}: a name is missing between braces")
        names.append(full)
    return tuple(names)


def resolve(template: str, variables: Mapping[str, str]) -> str:
    """Fill a template.

    Args:
        template: text with `{name}` placeholders; `{{` and `}}` are literal braces.
        variables: values by name.

    Raises:
        TemplateError: malformed, or a name is not known; says what is.
    """
    names = iter(placeholders(template))
    if "{" not in template and "}" not in template:
        return template
    out: list[str] = []
    for literal, name, _, _ in _FORMATTER.parse(template):
        out.append(literal)
        if name is None:
            continue
        full = next(names)
        try:
            out.append(variables[full])
        except KeyError:
            known = ", ".join(["twin:id", "twin:var:<name>", *variables])
            raise TemplateError(
                f"template {template!r}: {{{full}}} has no value here; known names: {known}"
            ) from None
    return "".join(out)
