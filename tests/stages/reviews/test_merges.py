"""Properties of three-way merges: their rules, disjoint edits, and undoing."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pxr import Sdf

from stagetwin.reviews._fields import fields_of, values_of
from stagetwin.reviews._merge import apply_merge, three_way, undo_merge

_PRIMS = ("/A", "/A/B", "/C")
_NAMES = ("x", "y")
_Opinions = st.fixed_dictionaries(
    {},
    optional={
        (prim, name): st.integers(0, 3)
        for prim in _PRIMS
        for name in (*_NAMES, "variant", "active", "def")
    },
)


def layer_of(opinions: dict[tuple[str, str], int]) -> Sdf.Layer:
    """Return a layer that says something of a few prims."""
    layer = Sdf.Layer.CreateAnonymous("some.usda")
    for (path, name), value in sorted(opinions.items()):
        prim = Sdf.CreatePrimInLayer(layer, path)
        if name == "variant":
            prim.variantSelections["set"] = f"v{value}"
        elif name == "active":
            prim.active = bool(value % 2)
        elif name == "def":
            prim.specifier = Sdf.SpecifierDef
            prim.typeName = ("Xform", "Cube", "Scope", "Mesh")[value]
        else:
            spec = Sdf.AttributeSpec(prim, name, Sdf.ValueTypeNames.IntArray)
            spec.default = [value, 1]
    return layer


def all_of(layer: Sdf.Layer) -> dict[Any, Any]:
    return values_of(layer, fields_of(layer))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_Opinions, _Opinions, _Opinions)
def test_merges_of_disjoint_edits_commute(
    site: dict[Any, int], one: dict[Any, int], other: dict[Any, int]
) -> None:
    apart = {key: value for key, value in other.items() if key[0] not in {k[0] for k in one}}
    results = []
    for order in ((one, apart), (apart, one)):
        layer = layer_of(site)
        base = layer_of(site)
        for edits in order:
            theirs = all_of(layer_of(edits))
            merge = three_way(values_of(base, theirs), values_of(layer, theirs), theirs)
            assert merge.conflicts == ()
            apply_merge(layer, merge.changes)
        results.append(all_of(layer))
    assert results[0] == results[1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_Opinions, _Opinions, _Opinions)
def test_three_way_rules_hold_and_undo_gives_back_every_byte(
    before: dict[Any, int], now: dict[Any, int], edits: dict[Any, int]
) -> None:
    base, site = layer_of(before), layer_of(now)
    theirs = all_of(layer_of(edits))
    was, is_now = values_of(base, theirs), values_of(site, theirs)
    merge = three_way(was, is_now, theirs)
    conflicts = {conflict.field for conflict in merge.conflicts}
    for field, wanted in theirs.items():
        if is_now[field] == was[field] != wanted:
            assert merge.changes[field] == wanted
        elif wanted in (was[field], is_now[field]):
            assert field not in merge.changes
            assert field not in conflicts
        else:
            assert field in conflicts
    text = site.ExportToString()
    old = values_of(site, merge.changes)
    created = apply_merge(site, merge.changes)
    assert values_of(site, merge.changes) == dict(merge.changes)
    assert undo_merge(site, old, merge.changes, created) == ()
    assert site.ExportToString() == text
