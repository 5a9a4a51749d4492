"""Topic filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin_bridges.mqtt._topics import (
    FilterTree,
    covering,
    filter_problem,
    topic_filter,
)

LEVELS = st.sampled_from(["a", "b", "", "$x"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(LEVELS | st.just("+"), min_size=1, max_size=4), st.sampled_from(["", "/#"]))
    .map(lambda parts: "/".join(parts[0]) + parts[1])
    .filter(bool)
) | st.just("#")


def matches(topic_filter: str, topic: str) -> bool:
    """The rule of MQTT 5.0, section 4.7, level by level."""
    wanted, got = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number >= len(got) or level not in ("+", got[number]):
            return False
    return len(wanted) == len(got)


@given(st.lists(FILTERS, max_size=6), TOPICS)
def test_a_tree_finds_the_filters_that_match(filters: list[str], topic: str) -> None:
    tree: FilterTree[str] = FilterTree()
    for each in filters:
        tree.add(each, each)
    # `a/#` also matches its parent `a`.
    expected = sorted(f for f in filters if matches(f, topic) or f == f"{topic}/#")
    assert sorted(tree.match(topic)) == expected


@given(st.lists(FILTERS | TOPICS, max_size=6), st.lists(TOPICS, max_size=8))
def test_covering_filters_let_through_what_all_do(filters: list[str], topics: list[str]) -> None:
    def through(some: list[str]) -> list[str]:
        tree: FilterTree[str] = FilterTree()
        for each in some:
            tree.add(each, each)
        return [topic for topic in topics if tree.match(topic)]

    kept = covering(filters)
    assert set(kept) <= set(filters)
    assert through(kept) == through(filters)


def test_covered_filters_are_left_out() -> None:
    assert covering(["p/#", "p/1/flow", "p/+/flow", "q", "q"]) == ["p/#", "q"]
    assert covering(["a/+", "a/b", "+/b"]) == ["+/b", "a/+"]
    assert covering(["#", "$SYS/x"]) == ["#", "$SYS/x"]
    assert covering(["a/#", "a"]) == ["a/#"]
    assert covering(["$share/g/a", "#"]) == ["#", "$share/g/a"]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("", "expected a topic"),
        ("$share/g", "expected a topic"),
        ("$share/g/", "expected a topic"),
        ("$share/+/a", "no wildcard in the name"),
        ("a/#/b", "'#' stands alone"),
        ("a#", "'#' stands alone"),
        ("a/b+", "'\\+' stands alone"),
        ("a\x00", "NUL"),
        ("a" * 65_536, "longer than"),
        ("a\ud800", "UTF-8"),
    ],
)
def test_a_malformed_filter_is_explained(address: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(filter_problem(address))


@pytest.mark.parametrize("address", ["a", "/", "a//b", "+", "#", "+/a/#", "$share/g/a/+", "ü/1 2"])
def test_a_good_filter_has_no_problem(address: str) -> None:
    assert filter_problem(address) == ""
    assert topic_filter("$share/g/a/+") == "a/+"
