"""`stagetwin commands` and `stagetwin halt`: lists, lives, approvals, and the stop request."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from stagetwin.cli import _app, _ask, _commands, _set, app
from tests.stages.command_service import WAY, CommandService, target

P1, P2, V1 = "/World/Line1/P101.speed", "/World/Line1/P102.speed", "/World/Line2/V1.open"
NASTY = "[/y]\x1b[31m\x07"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[CommandService]:
    targets = [target(P1, safe=0.0), target(P2, safe=10.0), target(V1, "bool", unit="1")]
    with CommandService(tmp_path / "s.sock", targets) as made:
        yield made


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_app, _set, _commands):
        monkeypatch.setattr(module, "console", Console(width=240))


def run(service: CommandService, *arguments: str, keys: str = "") -> Result:
    line = [*arguments, "--socket", str(service.path)]
    return CliRunner().invoke(app, line, input=keys)


def lines(result: Result) -> list[list[str]]:
    return [line.split() for line in result.output.splitlines()]


def test_the_newest_are_listed_first(service: CommandService) -> None:
    service.add(P1, 1500.0, "VERIFIED")
    service.add(V1, True, "REJECTED", cause="the gate is open", author="bob")
    service.add(P2, 900.0, "REHEARSED", needs=1, origin="rule")
    done = run(service, "commands", "list", "plant.usda")
    assert done.exit_code == 0, done.output
    head, *rows = lines(done)
    assert head == ["age", "id", "state", "value", "author", "command"]
    assert [row[-1] for row in rows if row[-1].startswith("/")] == [P2, V1, P1]
    words = [" ".join(row[3:]) for row in rows]
    assert f"REHEARSED 900 1/min ann (rule) {P2}" in words
    assert f"REJECTED true bob {V1}" in words
    assert [" ".join(row) for row in rows if not row[-1].startswith("/")] == [
        "waiting for approval by another person",
        "the gate is open",
    ]


def test_a_list_may_be_of_a_part_open_ones_or_json(service: CommandService) -> None:
    service.add(P1, 1.0, "VERIFIED")
    open_one = service.add(V1, True)
    part = run(service, "commands", "list", "plant.usda", "/World/Line1")
    assert [row[-1] for row in lines(part)[1:]] == [P1]
    only = run(service, "commands", "list", "plant.usda", "--open")
    assert [row[-1] for row in lines(only)[1:]] == [V1, "way"]
    reply = json.loads(run(service, "commands", "list", "plant.usda", "--open", "--json").output)
    assert [row["id"] for row in reply["commands"]] == [open_one["id"]]
    none = run(service, "commands", "list", "plant.usda", "/World/Line3", "--open")
    assert none.output == "No open command at or below /World/Line3.\n"
    assert service.requests("commands")[-1]["limit"] == 20


def test_a_read_only_service_says_so(service: CommandService) -> None:
    service.allowed = False
    done = run(service, "commands", "list", "plant.usda")
    assert "read-only" in done.output
    assert "No command at or below /." in done.output


def test_a_list_fits_a_narrow_terminal(
    service: CommandService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.add(P1, 1500.0, "REJECTED", cause="the gate is open, and so is the door behind it")
    monkeypatch.setattr(_commands, "console", Console(width=80))
    done = run(service, "commands", "list", "plant.usda")
    assert max(map(len, done.output.splitlines())) <= 80
    cause = "the gate is open, and so is the door behind it"
    rows = [" ".join(row) for row in lines(done)]
    assert rows[1].endswith("REJECTED 1,500 1/min ann")
    assert rows[2:] == [P1, cause]


def test_a_life_is_shown_with_its_times_and_evidence(service: CommandService) -> None:
    row = service.add(P1, 1500.0, reason="night shift", needs=1, approvals=["bob"])
    service.evidence = {
        "kind": "stored",
        "signal": "/World/Line1/P101.set",
        "before": None,
        "value": 1500.0,
        "after": 0.2,
    }
    for state in (*WAY, "VERIFIED"):
        service.turn(row["id"], state)
    done = run(service, "commands", "show", "plant.usda", row["id"])
    assert done.exit_code == 0, done.output
    for part in ("night shift", "by bob, needs 1", *WAY, f"{P1}  1,500 1/min"):
        assert part in done.output
    assert (
        "VERIFIED: read back 1,500 1/min (stored, /World/Line1/P101.set), 0.2 s after sending"
        in done.output
    )
    asked = json.loads(run(service, "commands", "show", "plant.usda", row["id"], "--json").output)
    assert len(asked["history"]) == len(WAY) + 2


def test_an_open_life_says_what_it_waits_for(service: CommandService) -> None:
    row = service.add(P1, 1500.0, "REHEARSED", needs=2)
    done = run(service, "commands", "show", "plant.usda", row["id"][:30])
    assert "by nobody yet, needs 2" in done.output
    assert "expires   in 10 s" in done.output
    assert "waiting for approval by 2 other people" in done.output


def test_following_ends_as_set_does(service: CommandService) -> None:
    bad = service.add(P1, 1500.0, "EXPIRED", cause="after 10 s")
    done = run(service, "commands", "show", "plant.usda", bad["id"], "--follow")
    assert done.exit_code == 1
    assert "EXPIRED: after 10 s; nothing was sent" in done.output
    good = service.add(P1, 1500.0, "VERIFIED")
    assert run(service, "commands", "show", "plant.usda", good["id"], "--follow").exit_code == 0


def test_cancelling_approving_and_denying(service: CommandService) -> None:
    first = service.add(P1, 1500.0, "REHEARSED", needs=2)
    done = run(service, "commands", "approve", "plant.usda", first["id"])
    assert "waiting for approval by another person" in done.output
    done = run(service, "commands", "approve", "plant.usda", first["id"], "--json")
    assert json.loads(done.output)["state"] == "APPROVED"
    done = run(service, "commands", "cancel", "plant.usda", first["id"], "--reason", "wrong pump")
    assert "CANCELLED: wrong pump; nothing was sent" in done.output
    second = service.add(P2, 5.0, "REHEARSED", needs=1)
    done = run(service, "commands", "deny", "plant.usda", second["id"], "--reason", "not now")
    assert done.exit_code == 0
    assert "DENIED: not now; nothing was sent" in done.output
    done = run(service, "commands", "cancel", "plant.usda", second["id"])
    assert done.exit_code == 2
    assert "has ended: DENIED" in " ".join(done.stderr.split())


def test_halt_asks_first_and_says_what_it_is_not(service: CommandService) -> None:
    done = run(service, "halt", "plant.usda", "/World/Line1", keys="n\n")
    assert done.exit_code == 1
    assert "This is no emergency stop" in done.output
    assert "Send every command at or below /World/Line1 that has a safe value to it?" in done.output
    assert service.requests("halt") == []
    assert run(service, "halt", "plant.usda").exit_code == 1
    words = " ".join(CliRunner().invoke(app, ["halt", "--help"]).output.split())
    assert "NO safety function and NO emergency stop" in words


def test_halt_prints_a_line_for_each_command(service: CommandService) -> None:
    done = run(service, "halt", "plant.usda", "/World/Line1", "--reason", "smoke", keys="y\n")
    assert done.exit_code == 0, done.output
    rows = [row for row in lines(done) if row and row[0] == "SENT"]
    assert [row[1:] for row in rows] == [[P1, "0", "1/min"], [P2, "10", "1/min"]]
    assert "2 asked for; look at the machines" in done.output
    assert service.requests("halt")[0]["reason"] == "smoke"


def test_halt_for_scripts(service: CommandService) -> None:
    done = run(service, "halt", "plant.usda", "--yes", "--json")
    assert len(json.loads(done.output)["commands"]) == 2


def test_a_halt_that_reaches_nothing_is_an_error(service: CommandService) -> None:
    done = run(service, "halt", "plant.usda", "/World/Lin1", "--yes")
    assert done.exit_code == 2
    assert "no command at or below /World/Lin1 has a safe value" in " ".join(done.stderr.split())


def test_a_halt_that_is_not_sent_everywhere_ends_with_1(
    service: CommandService, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = service.add(P1, 0.0, "REJECTED", cause="offline", origin="stop")

    async def halt(_request: object) -> dict[str, object]:
        return {"commands": [row]}

    monkeypatch.setattr(service, "_on_halt", halt)
    done = run(service, "halt", "plant.usda", "-y")
    assert done.exit_code == 1
    assert "offline; nothing was sent" in done.output
    assert "1 of them ended at once" in done.output


def test_what_others_wrote_cannot_reach_the_terminal(service: CommandService) -> None:
    row = service.add(
        P1, NASTY, "REJECTED", cause=NASTY, author=NASTY, reason=NASTY, realm=NASTY, unit=NASTY
    )
    row["origin"] = NASTY
    for arguments in (("list", "plant.usda"), ("show", "plant.usda", row["id"])):
        done = run(service, "commands", *arguments)
        assert done.exit_code == 0, done.output
        assert "[/y]�[31m�" in done.output
        assert "\x1b" not in done.output
        assert "\x07" not in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("commands", "list", "plant.usda"),
        ("commands", "show", "plant.usda", "0"),
        ("commands", "cancel", "plant.usda", "0"),
        ("set", "plant.usda", P1, "1"),
        ("halt", "plant.usda", "--yes"),
    ],
)
def test_without_a_service_each_ends_with_2_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "stagetwin", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "XDG_RUNTIME_DIR": str(tmp_path / "run"),
            "COLUMNS": "160",
        },
    )
    assert done.returncode == 2
    assert "no service listens" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_whole_life_in_processes_of_their_own(service: CommandService) -> None:
    service.life = [(state, "", "") for state in (*WAY, "VERIFIED")]

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-W", "error", "-m", "stagetwin", *arguments),
                *("--socket", str(service.path)),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        )

    done = call("set", "plant.usda", P1, "1500", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    shown = call("commands", "show", "plant.usda", made["id"])
    assert shown.returncode == 0, shown.stderr
    assert "ACKNOWLEDGED" in shown.stdout
    assert "\x1b" not in shown.stdout


@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        ({"entries": 12345, "damage": ""}, 0, "The ledger is whole: 12,345 entries"),
        ({"entries": 0, "damage": f"entry 3 {NASTY}"}, 1, "The ledger is damaged: entry 3 [/y]"),
    ],
)
def test_a_ledger_is_verified(
    service: CommandService,
    monkeypatch: pytest.MonkeyPatch,
    reply: dict[str, object],
    status: int,
    words: str,
) -> None:
    async def verify(_request: object) -> dict[str, object]:
        return reply

    monkeypatch.setattr(service, "_on_verify_ledger", verify, raising=False)
    done = run(service, "commands", "verify", "plant.usda")
    assert done.exit_code == status, done.output
    assert words in done.output
    assert "\x1b[31m" not in done.output
    plain = run(service, "commands", "verify", "plant.usda", "--json")
    assert (plain.exit_code, json.loads(plain.output)) == (status, reply)


def test_a_list_says_why_a_service_takes_no_commands(
    service: CommandService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def commands(_request: object) -> dict[str, object]:
        return {"commands": [], "allowed": False, "cause": "its ledger is unfit"}

    monkeypatch.setattr(service, "_on_commands", commands)
    assert "its ledger is unfit" in run(service, "commands", "list", "plant.usda").output


@pytest.mark.parametrize(
    ("commands", "words", "styled"),
    [
        ({"allowed": False, "cause": "commands need --allow-commands"}, "commands: none", ""),
        ({"allowed": False, "cause": "entry 3 was changed"}, "entry 3 was changed", "entry 3"),
        (
            {
                "allowed": True,
                "open": 2,
                "ended": {"VERIFIED": 5, "UNVERIFIED": 1},
                "clients": {NASTY: {"state": "offline", "cause": NASTY}},
                "ledger": {"broken": "disk is full"},
            },
            "commands: 2 open, 1 UNVERIFIED, 5 VERIFIED",
            "1 UNVERIFIED",
        ),
    ],
)
def test_a_status_has_a_line_of_commands(
    monkeypatch: pytest.MonkeyPatch, commands: dict[str, object], words: str, styled: str
) -> None:
    console = Console(width=200, force_terminal=True, color_system="standard")
    monkeypatch.setattr(_ask, "console", console)
    with console.capture() as captured:
        _ask._print_commands(commands)
    shown = captured.get()
    assert words in "".join(re.split(r"\x1b\[[0-9;]*m", shown))
    if styled:
        assert f"\x1b[1;31m{styled}" in shown
    if commands["allowed"]:
        assert "\x1b[31moffline" in shown
        assert "the ledger is broken, nothing leaves" in shown
        assert "disk is full" in shown
