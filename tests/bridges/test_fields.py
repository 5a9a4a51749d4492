"""Field paths and struct formats."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import FieldError
from stagetwin_bridges.fields import MISSING, FieldPath, StructFormat, is_struct

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
STEPS = st.lists(TEXT | st.integers(0, 20), max_size=5).map(tuple)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", ()),
        ("flow", ("flow",)),
        ("motor.current[0]", ("motor", "current", 0)),
        ('["Volume Flow"]', ("Volume Flow",)),
        ("[2].x", (2, "x")),
        ("['it\\'s']", ("it's",)),
        ("['say \"a\"']", ('say "a"',)),
        (r'["a\"b\\c\u00e9"]', ('a"b\\cé',)),
        ("a[0][1].b", ("a", 0, 1, "b")),
        ("@timestamp", ("@timestamp",)),
        ('[""]', ("",)),
        ("motor:rpm", ("motor:rpm",)),
        ("values.7", ("values", "7")),
    ],
)
def test_a_path_is_parsed(text: str, steps: tuple[str | int, ...]) -> None:
    assert FieldPath.parse(text).steps == steps


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (".a", 0),
        ("a.", 2),
        ("a..b", 2),
        ("a[", 1),
        ("a[-1]", 1),
        ("a[x]", 1),
        ("a b", 1),
        ('a["b]', 1),
        ("[0]x", 3),
        ("a]", 1),
        ('["\\ud800"]', 1),
        ('["\\x"]', 1),
        ("<f@12", 0),
    ],
)
def test_a_malformed_path_says_where(text: str, position: int) -> None:
    with pytest.raises(FieldError, match=f"position {position}: "):
        FieldPath.parse(text)


@given(STEPS)
def test_a_path_is_what_its_text_says(steps: tuple[str | int, ...]) -> None:
    assert FieldPath.parse(str(FieldPath(steps))).steps == steps


def naive(document: Any, steps: tuple[str | int, ...]) -> Any:
    try:
        for step in steps:
            if isinstance(step, str) != isinstance(document, dict):
                return MISSING
            document = document[step]
    except (KeyError, IndexError, TypeError):
        return MISSING
    return document


@given(DOCUMENTS, STEPS)
def test_any_document_is_followed_like_a_naive_walk(
    document: Any, steps: tuple[str | int, ...]
) -> None:
    path = FieldPath(steps)
    assert path.find(document) is naive(document, steps)
    assert path.compile()(document) is naive(document, steps)


def all_paths(document: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner: Any = ()
    if isinstance(document, dict):
        inner = document.items()
    elif isinstance(document, list):
        inner = enumerate(document)
    return [at, *(path for key, value in inner for path in all_paths(value, (*at, key)))]


@given(DOCUMENTS, st.data())
def test_what_is_there_is_found(document: Any, data: st.DataObject) -> None:
    steps = data.draw(st.sampled_from(all_paths(document)))
    assert FieldPath(steps).find(document) is naive(document, steps)
    assert FieldPath(steps).find(document) is not MISSING


def test_a_value_is_placed_where_the_path_points() -> None:
    document: dict[str, Any] = {"a": 1}
    FieldPath.parse("meta.ts").place(document, 5.0)
    FieldPath.parse("a").place(document, 2)
    assert document == {"a": 1, "meta": {"ts": 5.0}}
    with pytest.raises(FieldError, match="'a' is taken"):
        FieldPath.parse("a.b").place(document, 3)
    with pytest.raises(FieldError, match="only a path of keys"):
        FieldPath.parse("b[0]").place(document, 3)


def test_a_struct_format_unpacks_at_its_offset() -> None:
    form = StructFormat.parse("<f@12")
    assert (form.format, form.offset, form.count, form.end) == ("<f", 12, 1, 16)
    assert form.unpack(bytes(12) + struct.pack("<f", 2.5)) == (2.5,)
    assert str(form) == "<f@12"
    with pytest.raises(struct.error):
        form.unpack(bytes(15))
    assert StructFormat.parse(">hh").count == 2
    assert StructFormat.parse("!8s").text


@pytest.mark.parametrize("text", ["", "f", "@f", "=f", "<", "<y", "<f@", "<2x", "<f@999999999999"])
def test_a_malformed_struct_format_is_refused(text: str) -> None:
    with pytest.raises(FieldError):
        StructFormat.parse(text)


@given(st.sampled_from("<>!"), st.sampled_from(["b", "H", "i", "Q", "e", "f", "d", "?", "3f"]))
def test_a_struct_format_is_what_its_text_says(order: str, code: str) -> None:
    for offset in (0, 7):
        form = StructFormat(f"{order}{code}", offset)
        assert StructFormat.parse(str(form)) == form
        assert is_struct(str(form))
