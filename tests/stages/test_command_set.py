"""`stagetwin set` as its users meet it: what it asks, what it prints, what it ends with."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from stagetwin.cli import _app, _commands, _set, app
from stagetwin.cli._lives import (
    allowed_text,
    end_text,
    near_paths,
    short_ids,
    value_text,
    waiting_text,
)
from tests.stages.command_service import WAY, CommandService, target

P1, P2 = "/World/Line1/P101.speed", "/World/Line1/P102.speed"
VALVE, MODE = "/World/Line1/V1.open", "/World/Line1/V1.mode"
POSE, COUNT = "/World/Robot.pose", "/World/Robot.count"
TARGETS = [
    target(P1),
    target(P2, min=None),
    target(VALVE, "bool", unit="1", min=None, max=None, desired=False),
    target(MODE, "token", unit="1", min=None, max=None, desired="manual"),
    target(POSE, "double3", unit="m", min=None, max=None, desired=[0.0, 0.0, 0.0]),
    target(COUNT, "int", unit="1", max=None),
]
PICK = "/World/AMR1.pick"
TARGETS.append(
    target(
        PICK,
        "string",
        unit="1",
        min=None,
        max=None,
        desired=None,
        reported=None,
        parameters=[
            {"name": n, "type": kind, "min": low, "max": high, "tokens": tokens, "default": None}
            for n, kind, low, high, tokens in (
                ("height", "double", 0.0, 2.5, []),
                ("loadId", "string", None, None, []),
                ("loadType", "token", None, None, ["EPAL", "KLT"]),
            )
        ],
    )
)
GOOD = [(state, "", "") for state in (*WAY, "VERIFIED")]
EVIDENCE = {
    "kind": "process",
    "signal": "/World/Line1/P101.rpm",
    "before": 1200.0,
    "value": 1498.0,
    "after": 0.41,
}
NASTY = "[/y]\x1b[31m\x07"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[CommandService]:
    with CommandService(tmp_path / "s.sock", TARGETS) as made:
        made.evidence = EVIDENCE
        yield made


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_app, _set, _commands):
        monkeypatch.setattr(module, "console", Console(width=300))


def run(service: CommandService, *arguments: str) -> Result:
    """Run `stagetwin set` in this process."""
    assert _set.set_.__name__ == "set_"
    line = ["set", "plant.usda", *arguments, "--socket", str(service.path)]
    return CliRunner().invoke(app, line)


def turns(service: CommandService, life: Sequence[tuple[str, str, str]]) -> None:
    service.life = life


def test_a_verified_command_ends_with_0_and_its_evidence(service: CommandService) -> None:
    turns(service, GOOD)
    done = run(service, P1, "1500", "--reason", "night shift", "--ttl", "5")
    assert done.exit_code == 0, done.output
    assert f"{P1}  1,200 → 1,500 1/min  on the simulation  by ann" in done.output
    assert (
        "VERIFIED: read back 1,498 1/min (process, /World/Line1/P101.rpm), was 1,200, "
        "0.4 s after sending"
    ) in done.output
    positions = [done.output.index(f" s  {state}") for state in ("REQUESTED", *WAY, "VERIFIED")]
    assert positions == sorted(positions)
    (request,) = service.requests("publish")
    assert request["id"] in done.output
    del request["id"]
    assert request == {
        "op": "publish",
        "target": P1,
        "value": 1500.0,
        "revision": 7,
        "reason": "night shift",
        "ttl": 5.0,
        "mode": "explicit",
    }


def test_parameters_are_sent_with_the_value(service: CommandService) -> None:
    turns(service, GOOD)
    said = ("loadType=KLT", "height=0.5", "loadId=a=b")
    pairs = [part for pair in said for part in ("--with", pair)]
    assert run(service, PICK, "P1", *pairs).exit_code == 0
    (request,) = service.requests("publish")
    assert request["parameters"] == {"loadType": "KLT", "height": 0.5, "loadId": "a=b"}


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("loadType=BOX", "parameter loadType: 'BOX' is none of EPAL, KLT"),
        ("height=3", "no value for parameter height"),
        ("height=high", "allowed: double, 0 to 2.5"),
        ("colour=red", "has the parameters height, loadId, loadType, got 'colour=red'"),
        ("loadId", "expected KEY=VALUE"),
    ],
)
def test_a_wrong_parameter_is_told_before_it_is_asked(
    service: CommandService, pair: str, words: str
) -> None:
    done = run(service, PICK, "P1", "--with", pair)
    assert done.exit_code == 2
    assert words in done.output
    assert service.requests("publish") == []


def test_on_a_pipe_it_says_once_that_another_person_must_approve(service: CommandService) -> None:
    service.needs = 1
    turns(service, [("VALIDATED", "", ""), ("REHEARSED", "", "")])

    def deny() -> None:
        deadline = time.monotonic() + 20
        while not service.requests("follow") and time.monotonic() < deadline:
            time.sleep(0.005)
        # Whoever follows was told what there was before anything else can happen.
        (made,) = service.commands
        service.turn(made, "DENIED", "not now", "by-hand")

    other = threading.Thread(target=deny)
    other.start()
    done = run(service, P1, "1500")
    other.join(20)
    assert done.exit_code == 1
    assert done.output.count("waiting for approval by another person") == 1


@pytest.mark.parametrize(
    ("state", "cause", "said"),
    [
        ("REJECTED", "the gate is open", "REJECTED: the gate is open; nothing was sent"),
        ("DENIED", "not now", "DENIED: not now; nothing was sent"),
        ("CANCELLED", "", "CANCELLED; nothing was sent"),
        ("SUPERSEDED", "a newer one", "SUPERSEDED: a newer one; nothing was sent"),
        ("EXPIRED", "after 10 s", "EXPIRED: after 10 s; nothing was sent"),
        ("FAILED", "BadNotWritable", "FAILED: BadNotWritable\n"),
        (
            "UNVERIFIED",
            "no answer",
            "UNVERIFIED: sent, outcome unknown; look at the machine, it is not sent again "
            "(no answer)",
        ),
    ],
)
def test_every_other_end_is_1_and_a_sentence(
    service: CommandService, state: str, cause: str, said: str
) -> None:
    turns(service, [(state, cause, "")])
    done = run(service, P1, "1500")
    assert done.exit_code == 1
    assert said in done.output
    if state == "UNVERIFIED":
        assert "nothing was sent" not in done.output


def test_what_the_service_finds_out_of_range_is_told_with_what_is_allowed(
    service: CommandService,
) -> None:
    turns(service, [("REJECTED", "2,500 is outside [0, 2000]", "range")])
    done = run(service, P1, "2500")
    assert (
        "is outside [0, 2000]; allowed: double, 0 to 3,000 1/min; nothing was sent" in done.output
    )


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        (P1, "1e3", 1000.0),
        (P2, "-5.5", -5.5),
        (VALVE, "on", True),
        (VALVE, "FALSE", False),
        (MODE, "auto", "auto"),
        (MODE, "", ""),
        (POSE, "[1, 2, 3.5]", [1, 2, 3.5]),
        (COUNT, "12", 12),
    ],
)
def test_a_value_is_read_by_the_type_of_its_target(
    service: CommandService, path: str, text: str, value: Any
) -> None:
    done = run(service, path, text, "--no-wait")
    assert done.exit_code == 0, done.output
    (request,) = service.requests("publish")
    assert request["value"] == value
    assert type(request["value"]) is type(value)


@pytest.mark.parametrize(
    ("path", "text", "allowed"),
    [
        (P1, "fast", "allowed: double, 0 to 3,000 1/min"),
        (P1, "1,500", "allowed: double, 0 to 3,000 1/min"),
        (P1, "-5", "-5 is outside [0, 3000]; allowed: double, 0 to 3,000 1/min"),
        (P1, "nan", "got nan; allowed: double, 0 to 3,000 1/min"),
        (P2, "9000", "allowed: double, at most 3,000 1/min"),
        (VALVE, "open", "allowed: bool"),
        (POSE, "[1, 2]", "got 2 numbers; allowed: double3 [m]"),
        (POSE, "1 2 3", "allowed: double3 [m]"),
        (COUNT, "1.5", "allowed: int, at least 0"),
    ],
)
def test_a_wrong_value_is_not_sent_and_what_is_allowed_is_told(
    service: CommandService, path: str, text: str, allowed: str
) -> None:
    done = run(service, path, text)
    assert done.exit_code == 2
    message = " ".join(done.stderr.split())
    assert f"is no value for {path}" in message
    assert allowed in message
    assert service.requests("publish") == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/World/Line1/P101.sped", P1),
        ("P101.speed", P1),
        ("/world/line1/p102.speed", P2),
        ("/World/Line1/V1", VALVE),
        ("/World/Line2/P102.speed", P2),
    ],
)
def test_an_unknown_target_names_what_may_have_been_meant(
    service: CommandService, written: str, meant: str
) -> None:
    done = run(service, written, "5")
    assert done.exit_code == 2
    message = " ".join(done.stderr.split())
    assert f"no command {written}; did you mean" in message
    assert meant in message


def test_a_target_like_no_other_names_some(service: CommandService) -> None:
    done = run(service, "/Zzz", "5")
    assert "among its 7 commands are" in " ".join(done.stderr.split())
    service.targets.clear()
    done = run(service, P1, "5")
    assert "the stage has no commands that can run" in done.stderr


def test_a_refusal_ends_with_2(service: CommandService) -> None:
    service.refuse = "this service is read-only"
    done = run(service, P1, "1500")
    assert done.exit_code == 2
    assert f"{P1} was not set: this service is read-only" in " ".join(done.stderr.split())


def test_an_unknown_option_is_refused(service: CommandService) -> None:
    done = run(service, P1, "1500", "--rason", "x")
    assert done.exit_code == 2
    assert service.requests("publish") == []


def test_no_wait_tells_how_to_follow_and_cancel(service: CommandService) -> None:
    done = run(service, P1, "1500", "--no-wait")
    assert done.exit_code == 0
    (made,) = service.commands
    assert f"stagetwin commands show plant.usda {made} --follow" in done.output
    assert f"stagetwin commands cancel plant.usda {made}" in done.output
    assert service.requests("follow") == []
    turns(service, [("REJECTED", "no", "")])
    assert run(service, P1, "1500", "--no-wait").exit_code == 1


def test_json_is_the_command_at_its_end(service: CommandService) -> None:
    turns(service, GOOD)
    done = run(service, P1, "1500", "--json")
    row = json.loads(done.output)
    assert (row["state"], row["value"], row["evidence"]) == ("VERIFIED", 1500.0, EVIDENCE)


def test_what_others_wrote_cannot_reach_the_terminal(service: CommandService) -> None:
    service.evidence = {**EVIDENCE, "signal": NASTY, "kind": NASTY, "value": NASTY}
    for life in (GOOD, [("VALIDATED", NASTY, ""), ("REJECTED", NASTY, "range")]):
        turns(service, life)
        service.targets[MODE].update(desired=NASTY, realm=NASTY, unit=NASTY, type="token")
        done = run(service, MODE, NASTY)
        assert done.exit_code in (0, 1)
        assert "[/y]�[31m�" in done.output
        assert "\x1b" not in done.output + done.stderr
        assert "\x07" not in done.output + done.stderr
    done = run(service, NASTY, "1")
    assert "\x1b" not in done.output + done.stderr


def test_a_service_that_ends_first_is_said(service: CommandService) -> None:
    service.add(P1, 1.0)
    (made,) = service.commands
    leaving = CliRunner()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "_follow", _cut)
        done = leaving.invoke(
            app,
            ["commands", "show", "plant.usda", made, "--follow", "--socket", str(service.path)],
        )
    assert done.exit_code == 2
    assert f"the service ended before command {made} did" in " ".join(done.stderr.split())


async def _cut(_request: dict[str, Any]) -> Any:
    raise ConnectionResetError
    yield {}


def test_a_request_whose_answer_was_lost_is_looked_up(
    service: CommandService, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns(service, GOOD)
    real = service._on_publish

    async def lose(request: dict[str, Any]) -> dict[str, Any]:
        await real(request)
        raise ConnectionResetError

    monkeypatch.setattr(service, "_on_publish", lose)
    done = run(service, P1, "1500")
    assert done.exit_code == 0, done.output
    assert len(service.requests("publish")) == 1


# -- a real terminal


class Terminal:
    """The command line on a terminal of its own."""

    def __init__(self, service: CommandService, *arguments: str) -> None:
        self._main, side = pty.openpty()
        line = [sys.executable, "-W", "error", "-m", "stagetwin", *arguments]
        self.process = subprocess.Popen(
            [*line, "--socket", str(service.path)],
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            preexec_fn=_take_terminal,
            env={"PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "COLUMNS": "200"},
        )
        os.close(side)
        self.seen = ""

    def until(self, text: str) -> None:
        """Read until a text was printed; fail after 30 s."""
        deadline = time.monotonic() + 30
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            self._read(0.2)

    def _read(self, timeout: float) -> bool:
        if not select.select([self._main], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self._main, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def type(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def end(self) -> int:
        """Read all there is and return the exit status."""
        deadline = time.monotonic() + 30
        while self._read(0.5) and (self.process.poll() is None or self._more()):
            assert time.monotonic() < deadline, self.seen
        status = self.process.wait(30)
        os.close(self._main)
        return status

    def _more(self) -> bool:
        return bool(select.select([self._main], [], [], 0)[0])


def _take_terminal() -> None:
    # The child's terminal, so that a Ctrl-C typed there is a signal.
    import fcntl
    import termios

    # Whoever runs the tests in the background may have had the signal ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_on_a_terminal_it_spins_and_colours_and_ends(service: CommandService) -> None:
    terminal = Terminal(service, "set", "plant.usda", P1, "1500")
    terminal.until("REQUESTED, on its way")
    (made,) = service.commands
    for state, cause, code in GOOD:
        service.turn(made, state, cause, code)
    assert terminal.end() == 0
    assert "\x1b[1;32mVERIFIED\x1b[0m" in terminal.seen
    assert terminal.seen.rstrip().endswith("after sending")


@pytest.mark.alone
def test_ctrl_c_leaves_the_command_alone_and_says_how_to_go_on(service: CommandService) -> None:
    terminal = Terminal(service, "set", "plant.usda", P1, "1500")
    terminal.until("on its way")
    terminal.type("\x03")
    assert terminal.end() == 130
    (made,) = service.commands
    assert f"stagetwin commands show plant.usda {made} --follow" in terminal.seen
    assert f"stagetwin commands cancel plant.usda {made}" in terminal.seen
    assert "Traceback" not in terminal.seen
    assert service.commands[made]["state"] == "REQUESTED"
    assert service.requests("cancel") == []


# -- words


def test_values_keep_every_digit_and_have_a_unit() -> None:
    assert value_text(1234567.25, "m3/h") == "1,234,567.25 m³/h"
    assert value_text(True, "1") == "true"
    assert value_text("auto") == '"auto"'
    assert value_text(None, "m") == "nothing"
    assert value_text([1, 2.5], "m") == "[1, 2.5] m"
    assert len(value_text("x" * 1000)) == 48
    assert value_text(float("inf")) == "Infinity"


def test_what_is_allowed_without_limits_names_the_unit() -> None:
    assert allowed_text(target(P1, min=None, max=None)) == "double [1/min]"


def test_short_ids_are_as_long_as_it_takes() -> None:
    base = "01a1fe81-c9a5-71f4-a23b-7c3b440d0e21"
    assert short_ids([{"id": base}]) == ["01a1fe81-c9a5"]
    rows = [{"id": base}, {"id": base[:-1] + "2"}]
    assert short_ids(rows) == [base, base[:-1] + "2"]


def test_near_paths_are_few_and_single() -> None:
    paths = [f"/World/P{i}.speed" for i in range(30)]
    assert near_paths("/World/P7.speed ", paths)[0] == "/World/P7.speed"
    assert len(near_paths("/World/P.speed", paths)) <= 5


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"state": "REHEARSED", "needs": 1}, "waiting for approval by another person"),
        ({"state": "VALIDATED", "needs": 2}, "waiting for approval by 2 other people"),
        (
            {"state": "REHEARSED", "needs": 2, "approvals": ["bob"]},
            "waiting for approval by another person",
        ),
        ({"state": "SENT"}, "sent; waiting for the read-back"),
        ({"state": "ARMED"}, "ARMED, on its way"),
    ],
)
def test_what_is_waited_for_is_said(fields: dict[str, Any], said: str) -> None:
    assert waiting_text({"needs": 0, "approvals": [], **fields}) == said


def test_a_verification_without_evidence_is_still_a_sentence() -> None:
    row = {"state": "VERIFIED", "cause": "", "code": "", "evidence": None, "unit": "m"}
    assert end_text(row).plain == "VERIFIED"


def test_the_command_line_knows_it() -> None:
    names = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {"set", "commands", "halt"} <= set(names)
