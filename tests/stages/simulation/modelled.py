"""Models on the stages of tests, as usda text."""

from __future__ import annotations

from collections.abc import Sequence

from tests.stages.plants import Part, full_path, literal

__all__ = ["full_path", "model"]


def model(
    name: str,
    kind: str = "echo",
    *,
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
    parameters: dict[str, float | str] | None = None,
    more: str = "",
    **relations: str | Sequence[str],
) -> Part:
    """A model; a parameter that is a text is usda after `param:<name>`, type and all."""
    lines = [f"uniform token twin:model:{name}:kind = {literal(kind)}"] if kind else []
    for rel, targets in {"reads": reads, "writes": writes, **relations}.items():
        paths = [targets] if isinstance(targets, str) else targets
        if paths:
            listed = ", ".join(f"<{path}>" for path in paths)
            lines.append(f"rel twin:model:{name}:{rel.replace('_', ':', 1)} = [{listed}]")
    for key, value in (parameters or {}).items():
        place = f"twin:model:{name}:param:{key}"
        if isinstance(value, str):
            type_name, _, rest = value.partition(" ")
            lines.append(f"{type_name} {place} {rest}")
        else:
            lines.append(f"double {place} = {value}")
    return Part(f"TwinModelAPI:{name}", "\n".join(lines) + f"\n{more}\n")
