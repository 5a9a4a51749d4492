"""Address templates: one asset, referenced many times, is many live machines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin._errors import TemplateError
from stagetwin.bindings import placeholders, resolve
from tests.stages.plants import asset, only, plant, prim, stage_of, table_of, telemetry

NAMES = ["twin:id", "twin:var:line", "prim.name", "prim.path", "signal", "instance"]


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("", []),
        ("plain/topic", []),
        ("{twin:id}/flow", ["twin:id"]),
        ("{twin:var:area}/{prim.name}/{twin:id}", ["twin:var:area", "prim.name", "twin:id"]),
        ("{{literal}}/{signal}", ["signal"]),
        ("{{{instance}}}", ["instance"]),
    ],
)
def test_placeholders_are_named_in_order(template: str, names: list[str]) -> None:
    assert placeholders(template) == tuple(names)


@pytest.mark.parametrize(
    "template", ["{", "}", "{twin:id", "twin:id}", "{}", "a/{}/b", "{signal!r}", "{:id}", "{a}}"]
)
def test_a_malformed_template_is_refused_with_its_text(template: str) -> None:
    with pytest.raises(TemplateError) as refused:
        resolve(template, {"signal": "x", "a": "x"})
    assert repr(template) in str(refused.value)


@pytest.mark.parametrize(
    "template", ["{nothing}", "{twin:var:nothing}", "{signal.upper}", "{signal[0]}", "{signal:>9}"]
)
def test_an_unknown_name_is_refused_with_the_known_ones(template: str) -> None:
    """Nothing but names is filled in: no attribute, no index, no format of Python's."""
    with pytest.raises(TemplateError, match=r"has no value here; known names: .*twin:id.*signal"):
        resolve(template, {"signal": "flow"})


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


@given(TEXT)
def test_text_with_doubled_braces_is_itself(text: str) -> None:
    assert resolve(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(
    st.lists(st.tuples(TEXT, st.sampled_from(NAMES)), max_size=6),
    TEXT,
    st.dictionaries(st.sampled_from(NAMES), TEXT, min_size=len(NAMES)),
)
def test_a_template_is_its_parts_filled_in(
    parts: list[tuple[str, str]], tail: str, values: dict[str, str]
) -> None:
    """Values are put in as they are: braces in them are not filled again."""

    def doubled(text: str) -> str:
        return text.replace("{", "{{").replace("}", "}}")

    template = "".join(f"{doubled(text)}{{{name}}}" for text, name in parts) + doubled(tail)
    assert placeholders(template) == tuple(name for _, name in parts)
    assert resolve(template, values) == "".join(t + values[n] for t, n in parts) + tail


@given(TEXT)
def test_any_text_resolves_or_is_refused(text: str) -> None:
    try:
        resolve(text, {"a": "1"})
    except TemplateError:
        return
    assert set(placeholders(text)) <= {"a"}


def test_a_prim_offers_its_name_path_id_signal_and_variables() -> None:
    template = "{twin:var:area}/{twin:id}/{prim.name}{prim.path}/{signal}"
    text = plant(
        'string twin:var:area = "far"',
        prim(
            "Line",
            'string twin:var:area = "near"',
            prim("P1", asset("P-101"), telemetry("flow", address=template)),
        ),
    )
    assert only(table_of(text)).address == "near/P-101/P1/Plant/Line/P1/flow"


def test_the_nearest_ancestor_with_a_value_wins_and_empty_ones_do_not_count() -> None:
    inner = prim("Motor", asset(""), telemetry("rpm", address="{twin:id}/{twin:var:n}"))
    pump = prim("P1", asset("P-101"), "int twin:var:n = 3", prim("Empty", asset(""), inner))
    assert only(table_of(plant(pump))).address == "P-101/3"


def test_field_is_a_template_too() -> None:
    signal = telemetry("flow", address="all", field="{twin:id}.{signal}")
    assert only(table_of(plant(prim("P1", asset("P-101"), signal)))).field == "P-101.flow"


def test_a_missing_name_is_a_problem_of_its_prim_only() -> None:
    stage = stage_of(
        plant(
            prim("Bad", telemetry("flow", address="{twin:var:area}/flow")),
            prim("Good", telemetry("flow", address="{prim.name}/flow")),
        )
    )
    from stagetwin.bindings import read_bindings

    table = read_bindings(stage)
    assert [b.address for b in table.telemetry.values()] == ["Good/flow"]
    (problem,) = table.problems
    assert (problem.prim, problem.signal, problem.code) == ("/Plant/Bad", "flow", "template")
    assert "twin:var:area" in problem.message
