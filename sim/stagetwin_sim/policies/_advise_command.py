"""What `stagetwin policy advise`, `approve`, `status` and `end` do, and show."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stagetwin.envelopes import Envelope
from stagetwin.service import ControlClient
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._advise import run_adviser
from stagetwin_sim.policies._advisor import Advisor, Stage
from stagetwin_sim.policies._approval import Approval, Session
from stagetwin_sim.policies._assignment import Assignment
from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._desk import ServiceDesk
from stagetwin_sim.policies._keys import SigningKey, VerifyKey, load_trusted
from stagetwin_sim.policies._runner import Runner
from stagetwin_sim.policies._signals import SignalSource

__all__ = ["advise_plant", "approve_session", "end_loop", "show_sessions"]

Row = dict[str, Any]

_STYLES = {"shadow": "dim", "advisory": "cyan", "loop": "bold green", "fallback": "yellow"}


def advise_plant(
    path: Path,
    socket: Path,
    assignment: Path,
    trust: Sequence[Path],
    *,
    highest: Stage,
    author: Path | None,
    approvers: Sequence[Path],
    first: int,
    record: Path | None,
) -> None:
    """Run an adviser until it is told to end; see `stagetwin policy advise --help`."""
    bundle = Bundle.read(path, load_trusted(trust))
    told = Assignment.read(assignment, bundle.spec)
    if highest is Stage.LOOP and (author is None or not approvers):
        raise PolicyError("a loop needs --author (who begins it) and --approver (who may approve)")

    def connect() -> ControlClient:
        return ControlClient(socket)

    with contextlib.ExitStack() as stack:
        lines = [_printed()]
        if record is not None:
            file = stack.enter_context(record.open("a", encoding="utf-8"))
            lines.append(lambda line: print(line, file=file, flush=True))

        def note(line: str) -> None:
            for each in lines:
                each(line)

        desk = ServiceDesk(connect)
        advisor = Advisor(
            Runner(bundle),
            told.advice,
            desk,
            envelope=told.envelope,
            author=VerifyKey.load(author).id if author is not None else "nobody",
            approvers=load_trusted(approvers),
            record=note,
        )
        run_adviser(
            advisor,
            SignalSource(connect, told, bundle.spec),
            desk,
            stack.enter_context(_until_told()),
            highest=highest,
            first=first,
            say=lambda text: note(
                json.dumps({"time": time.time(), "what": "fault", "cause": text})
            ),
        )


@contextlib.contextmanager
def _until_told() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether somebody asked the process to end."""
    ended = threading.Event()
    kept = {
        one: signal.signal(one, lambda *_: ended.set()) for one in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield ended.is_set
    finally:
        for one, handler in kept.items():
            signal.signal(one, handler)


def _printed() -> Callable[[str], Any]:
    """Return what shows a line of the record: for people on a terminal, as it is on a pipe."""
    if not sys.stdout.isatty():
        return lambda line: print(line, flush=True)  # noqa: T201 - for whoever reads the pipe
    console = Console()
    return lambda line: console.print(event_text(json.loads(line)), soft_wrap=True)


def _line(text: object) -> str:
    """Return words of others as they may be shown: nothing in them moves a cursor."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text))


def event_text(said: Mapping[str, Any]) -> Text:
    """Return one entry of an adviser's record as a person reads it."""
    what = str(said["what"])
    text = Text(time.strftime("%H:%M:%S  ", time.localtime(float(said["time"]))), style="dim")
    if what == "session":
        session = said["session"]
        return text.append(f"session {session['id']} of {said['policy']}", style="bold")
    if what in ("shadow", "advisory", "loop"):
        word = {"shadow": "would ask", "advisory": "advises", "loop": "asks"}[what]
        value = json.dumps(said["value"])
        return text.append(f"{word:<10}", style=_STYLES[what]).append(f"{said['target']} {value}")
    if what == "stage":
        stage = str(said["stage"])
        return text.append(f"{stage:<10}", style=_STYLES[stage]).append(_line(said["cause"]))
    if what == "approved":
        approval = said["approval"]
        return text.append("approved  ", style="green").append(
            f"by key {approval['approver']}: {_line(approval['reason']) or 'no reason given'}"
        )
    words = " ".join(_line(said[key]) for key in ("target", "cause") if key in said)
    return text.append(f"{what:<10}", style="yellow").append(f" {words}")


def approve_session(
    socket: Path, identifier: str, key: Path, *, reason: str, bundle: Path | None, yes: bool
) -> None:
    """Approve a loop: show what it may do, sign that, and hand it to the service."""
    signing = SigningKey.load(key)
    console = Console()
    with ControlClient(socket) as client:
        row = _session_of(client.ask(op="loops")["loops"], identifier)
        session = Session(**row["session"])
        envelope = Envelope.of(row["envelope"])
        if envelope.digest != session.envelope:
            raise PolicyError(f"session {session.id}: the envelope shown is not the one it is of")
        if bundle is not None and Bundle.read(bundle, unsigned=True).digest != session.bundle:
            raise PolicyError(f"{bundle}: session {session.id} runs another bundle")
        console.print(_session_text(row, envelope), soft_wrap=True)
        if not yes:
            text = f"Let it give these commands by itself for {envelope.seconds:g} s?"
            typer.confirm(text, abort=True)
        approval = Approval.give(session, signing, reason=reason, time=time.time())
        statement = {
            "session": row["session"],
            "approver": approval.approver,
            "reason": approval.reason,
            "time": approval.time,
            "signature": approval.signature,
        }
        loop = client.ask(op="loop_approve", id=session.id, statement=statement)["loop"]
    console.print(
        Text.assemble(
            ("approved", "bold green"), f" by {loop['approver']}, key {approval.approver}"
        ),
        soft_wrap=True,
    )


def _session_of(rows: Sequence[Row], identifier: str) -> Row:
    """Return the one open session whose id begins so."""
    found = [row for row in rows if "stage" in row and row["id"].startswith(identifier)]
    # Sessions that are begun soon after one another differ in their last letters.
    found = found or [row for row in rows if "stage" in row and row["id"].endswith(identifier)]
    if len(found) != 1:
        raise PolicyError(f"{len(found)} open sessions are {identifier!r}; see policy status")
    return found[0]


def _session_text(row: Row, envelope: Envelope) -> Text:
    text = Text.assemble((row["policy"], "bold"), f"  session {row['id']}\n")
    text.append(f"  begun by  {row['user']} (key {row['session']['author']})\n")
    text.append(f"  bundle    {row['session']['bundle']}\n  so far    {_counts(row['counts'])}\n")
    for one in envelope.commands:
        allowed = json.dumps(list(one.values)) if one.values else f"{one.low:g} to {one.high:g}"
        now = row["advice"].get(one.target)
        text.append(f"  may ask   {one.target}  {allowed}")
        text.append(f", would now ask {json.dumps(now)}\n" if now is not None else "\n", "dim")
    text.append(f"  at most   {envelope.per_minute} a minute, for {envelope.seconds:g} s")
    return text


def _counts(counts: Mapping[str, Any]) -> str:
    said = [f"{_line(number)} {_line(name)}" for name, number in counts.items()]
    return ", ".join(said) or "nothing"


def end_loop(socket: Path, identifier: str, *, reason: str) -> None:
    """End a loop by hand."""
    with ControlClient(socket) as client:
        row = _session_of(client.ask(op="loops")["loops"], identifier)
        loop = client.ask(op="loop_stop", id=row["id"], reason=reason)["loop"]
    Console().print(Text(f"session {loop['id']}: {loop['cause'] or 'it has no loop'}"))


def show_sessions(socket: Path, *, as_json: bool) -> None:
    """Show the advisers of a service, and loops of the past."""
    with ControlClient(socket) as client:
        rows = client.ask(op="loops")["loops"]
    if as_json or not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write(f"{json.dumps(row)}\n")
        return
    console = Console()
    if not rows:
        console.print("No session of an adviser, and no loop on record.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("session", "stage", "approved by", "commands", "left", "policy"):
        table.add_column(name, overflow="fold", no_wrap=name != "policy")
    for row in rows:
        stage = str(row.get("stage", "past"))
        left = row.get("left")
        table.add_row(
            row["id"][-12:],
            Text(stage, style=_STYLES.get(stage, "")),
            Text(row["approver"] or "-"),
            "-" if row["commands"] is None else str(row["commands"]),
            "-" if left is None else f"{left:.0f} s",
            Text.assemble(row["policy"], *((f"\n{note}", "dim") for note in _notes(row))),
        )
    console.print(table)


def _notes(row: Row) -> list[str]:
    """Return what a session would command now, and how its last loop ended."""
    asks = "asks" if row.get("stage") == "loop" else "would ask"
    notes = [
        f"{asks} {_line(target)} {json.dumps(value)}"
        for target, value in row.get("advice", {}).items()
    ]
    if row["cause"]:
        notes.append(f"loop ended: {_line(row['cause'])}")
    if row.get("silent", 0.0) > 10.0:
        notes.append(f"silent for {row['silent']:.0f} s")
    return notes
