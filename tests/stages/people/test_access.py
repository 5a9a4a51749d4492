"""The one check: a grant gives what its role says, below its prim, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import AccessError
from stagetwin.clock import ManualClock
from stagetwin.people import Access, Principal, Right
from stagetwin.people._policy import Policy
from stagetwin.people._rights import ROLES, is_at_or_below, prim_of, roots_of
from tests.stages.people.policies import NOW, account, document, opened, person, token, write

NAMES = st.sampled_from(["A", "B", "AB", "A_", "Ä", "A1"])
PRIMS = st.lists(NAMES, max_size=4).map(lambda parts: "/" + "/".join(parts))
ROLE_NAMES = st.sampled_from([*ROLES, "maintenance"])
GRANTS = st.lists(st.tuples(st.sampled_from(["ada", "ben"]), ROLE_NAMES, PRIMS), max_size=5)
ADA = person("ada")


class Fixed:
    """A policy that stands, whole or damaged."""

    def __init__(self, policy: Policy, damage: str = "") -> None:
        self.policy, self.damage = policy, damage

    def read(self, *, now: bool = False) -> tuple[Policy, str]:
        del now
        return self.policy, self.damage


def access(
    grants: Sequence[tuple[str, str, str]], damage: str = "", roles: Sequence[str] = ()
) -> Access:
    policy = Policy.of_document(document(grants, accounts=["ada", "ben"]))
    made = Access(Fixed(policy, damage), ManualClock(NOW))
    made.roles_at = lambda _: roles
    return made


def below(prim: str, root: str) -> bool:
    """The same question, asked another way: by parts."""
    parts = [part for part in root.split("/") if part]
    return [part for part in prim.split("/") if part][: len(parts)] == parts


# -- properties


@given(ROLE_NAMES, PRIMS, PRIMS, st.sampled_from(Right))
def test_a_grant_gives_nothing_outside_its_prim(
    role: str, root: str, prim: str, right: Right
) -> None:
    one = access([("ada", role, root)], roles=ROLES.keys() | {"maintenance"})
    if not below(prim, root):
        assert not one.may(ADA, right, prim)
        assert not one.may(ADA, right, f"{prim.rstrip('/')}.twin:value")
        assert not one.allows("ada", right, prim)
        assert not one.holds("ada", role, prim)
    else:
        assert one.may(ADA, Right.READ, prim)
        assert one.holds("ada", role, prim)


@given(GRANTS, PRIMS, st.sampled_from(Right))
def test_what_one_holds_gives_another_nothing(
    grants: list[tuple[str, str, str]], prim: str, right: Right
) -> None:
    without = access([grant for grant in grants if grant[0] == "ada"])
    assert access(grants).may(ADA, right, prim) == without.may(ADA, right, prim)
    assert not without.may(person("ben"), right, prim)


@given(GRANTS, PRIMS)
def test_readable_agrees_with_the_check(grants: list[tuple[str, str, str]], prim: str) -> None:
    one = access(grants)
    roots = one.readable(ADA)
    assert any(below(prim, root) for root in roots) == one.may(ADA, Right.READ, prim)
    assert not any(below(a, b) for a in roots for b in roots if a != b)
    assert list(roots) == sorted(roots)


@given(GRANTS, PRIMS, st.sampled_from(Right))
def test_rights_as_shown_agree_with_the_check(
    grants: list[tuple[str, str, str]], prim: str, right: Right
) -> None:
    one = access(grants)
    shown = any(
        str(right) in row["rights"] and below(prim, row["below"]) for row in one.rights(ADA)
    )
    assert shown == one.may(ADA, right, prim, ())


@given(GRANTS, PRIMS, st.sampled_from(Right))
def test_damage_never_widens(grants: list[tuple[str, str, str]], prim: str, right: Right) -> None:
    whole, damaged = access(grants), access(grants, "torn")
    assert damaged.may(ADA, right, prim) == (
        right in (Right.READ, Right.HALT) and whole.may(ADA, right, prim)
    )
    assert damaged.readable(ADA) == whole.readable(ADA)
    assert not damaged.holds("ada", "operator", prim)


@given(st.text(max_size=30), st.sampled_from(Right))
def test_what_is_no_path_is_denied(text: str, right: Right) -> None:
    if not prim_of(text):
        assert not access([("ada", "operator", "/")]).may(ADA, right, text)


@given(st.lists(PRIMS, max_size=6))
def test_roots_cover_the_same_and_no_more(paths: list[str]) -> None:
    roots = roots_of(paths)
    assert set(roots) <= set(paths)
    for path in paths:
        assert sum(is_at_or_below(path, root) for root in roots) == 1


# -- the table


@pytest.mark.parametrize(
    ("role", "rights", "named"),
    [
        ("viewer", "read", ""),
        ("reviewer", "read review", ""),
        ("operator", "read review acknowledge halt", "command"),
        ("approver", "read review acknowledge halt approve", ""),
        ("engineer", "read review engineer", ""),
        ("maintenance", "read halt", "command approve"),
    ],
)
def test_roles(role: str, rights: str, named: str) -> None:
    one = access([("ada", role, "/W")])
    for right in Right:
        unnamed = right in rights.split()
        assert one.may(ADA, right, "/W/P", ()) == unnamed
        assert one.may(ADA, right, "/W/P", ("other",)) == unnamed
        assert one.may(ADA, right, "/W/P", ("other", role)) == (unnamed or right in named.split())


def test_the_roles_of_an_asset_are_looked_up() -> None:
    one = access([("ada", "operator", "/W")])
    one.roles_at = {"/W/P": ("operator",)}.get  # type: ignore[assignment]
    assert one.may(ADA, Right.COMMAND, "/W/P.speed")
    one.roles_at = lambda prim: ("operator",) if prim == "/W/Q" else ()
    assert not one.may(ADA, Right.COMMAND, "/W/P.speed")


@pytest.mark.parametrize(
    "path",
    ["", "A", "/A/", "//A", "/A/../B", "/A/./B", "/A.x/../../B", "/A{v=b}B", "/A B", "/A\n", "A/B"],
)
def test_odd_paths_are_denied(path: str) -> None:
    one = access([("ada", "viewer", "/A"), ("ada", "viewer", "/B")])
    assert not one.may(ADA, Right.READ, path)


def test_a_refusal_names_who_what_and_where_and_not_whether_it_exists() -> None:
    one = access([("ada", "viewer", "/A")])
    with pytest.raises(AccessError, match=r"^ada may not command at /A\.speed$"):
        one.require(ADA, Right.COMMAND, "/A.speed")
    one.require(ADA, Right.READ, "/A.speed")


# -- who


def test_nobody_without_a_voucher() -> None:
    one = access([("ada", "operator", "/")])
    for via in ("", "login:", "login:0", "os:ada", "token:ada:0", "x"):
        who = Principal("ada", via=via)
        assert not one.stands(who)
        assert not one.may(who, Right.READ, "/")
        assert one.readable(who) == ()
        assert one.rights(who) == []


def test_the_owner_may_all_but_move_machines() -> None:
    one = access([])
    who = Principal("os:root", owner=True, via="os:root")
    assert {right for right in Right if one.may(who, right, "/A", ("operator",))} == {*Right} - {
        Right.COMMAND,
        Right.APPROVE,
    }
    assert one.readable(who) == ("/",)
    assert one.rights(who)[0]["below"] == "/"


def test_users_of_the_system_are_the_accounts_that_name_them(tmp_path: Path) -> None:
    file = write(
        tmp_path / "p.toml",
        [("ada", "operator", "/A"), ("os:carl", "viewer", "/B")],
        accounts={"ada": account(os_users=["ada", "ada-admin"])},
    )
    one = Access.of_file(opened(file), ManualClock(NOW))
    for user in ("ada", "ada-admin"):
        who = one.user(user)
        assert who.name == "ada"
        assert one.readable(who) == ("/A",)
    assert one.user("carl").name == "os:carl"
    assert one.readable(one.user("carl")) == ("/B",)
    assert one.readable(one.user("dan")) == ()
    assert one.readable(one.user("")) == ()
    assert one.user("carl", True).owner


def test_groups_and_tokens_of_their_own(tmp_path: Path) -> None:
    file = write(
        tmp_path / "p.toml",
        [("group:shift", "operator", "/A"), ("token:graf", "approver", "/A")],
        accounts={"ada": account(), "ben": account()},
        groups={"shift": ["ada"]},
        tokens={"graf": token()},
    )
    one = Access.of_file(opened(file), ManualClock(NOW))
    assert one.allows("ada", Right.ACKNOWLEDGE, "/A")
    assert not one.allows("ben", Right.READ, "/A")
    assert one.allows("token:graf", Right.ACKNOWLEDGE, "/A")
    assert not one.allows("token:graf", Right.APPROVE, "/A"), "a program is no second person"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ada", "ada", True),
        ("ada", "os:ada", True),
        ("os:ada", "Ada", True),
        ("ada", "ben", False),
        ("ada", "token:ada", False),
    ],
)
def test_who_may_be_one_person(one: str, other: str, same: bool) -> None:
    assert access([]).same_person(one, other) is same
    assert access([]).same_person(other, one) is same


# -- without a file


def test_without_a_file_all_read_and_roles_count_everywhere() -> None:
    one = Access.of_roles({"operator": ["ada"], "chief": ["ben"]})
    ada, ben, eve = Principal("ada"), Principal("ben"), Principal("eve")
    for who in (ada, ben, eve):
        assert one.user(who.name) == who
        assert one.readable(who) == ("/",)
        assert one.may(who, Right.HALT, "/A")
    assert one.may(ada, Right.COMMAND, "/A", ("operator",))
    assert one.may(ada, Right.APPROVE, "/A", ("operator",))
    assert one.may(ben, Right.COMMAND, "/A", ("operator", "chief"))
    assert one.may(ada, Right.ACKNOWLEDGE, "/A")
    assert not one.may(ben, Right.COMMAND, "/A", ("operator",))
    for right in (Right.COMMAND, Right.APPROVE, Right.REVIEW, Right.ACKNOWLEDGE, Right.ENGINEER):
        assert not one.may(eve, right, "/A", ("operator", "chief"))
