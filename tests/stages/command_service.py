"""A service that answers command operations as a test says, through the real control socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any

from stagetwin import ServiceError
from stagetwin.identifiers import uuid7
from stagetwin.service._control import ControlServer

ENDS = {
    *("VERIFIED", "REJECTED", "DENIED", "CANCELLED", "SUPERSEDED", "EXPIRED", "FAILED"),
    "UNVERIFIED",
}
WAY = ("VALIDATED", "REHEARSED", "APPROVED", "ARMED", "SENT", "ACKNOWLEDGED")

Reply = dict[str, Any]
Step = tuple[str, str, str]


def target(path: str, type_name: str = "double", **fields: Any) -> Reply:
    """Return a row of `targets`."""
    prim, _, command = path.rpartition(".")
    return {
        "path": path,
        "prim": prim,
        "command": command,
        "label": "",
        "type": type_name,
        "unit": "1/min",
        "min": 0.0,
        "max": 3000.0,
        "desired": 1200.0,
        "reported": 1200.0,
        "revision": 7,
        "approval": "none",
        "publish": "explicit",
        "debounce": 1.0,
        "policy": "routine",
        "operation": "write",
        "readback": f"{prim}.speed",
        "level": "twin",
        "realm": "simulation",
        "connection": "line",
        "status": "idle",
        "cause": "",
        **fields,
    }


class CommandService:
    """Answers on a thread of its own until closed.

    Attributes:
        path: its socket.
        targets: rows by path.
        commands: rows by id, with their history.
        asked: every request, in order.
        life: (state, cause, code) that a published command goes through by itself.
        refuse: if set, every `publish` is refused with this text.
        allowed: whether the service allows commands.
        needs: how many people must approve what is published.
    """

    def __init__(self, path: Path, targets: Sequence[Reply] = ()) -> None:
        self.path = path
        self.targets = {row["path"]: row for row in targets}
        self.commands: dict[str, Reply] = {}
        self.asked: list[Reply] = []
        self.life: Sequence[Step] = ()
        self.evidence: Reply | None = None
        self.refuse = ""
        self.allowed = True
        self.needs = 0
        self.mute = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._changed = asyncio.Condition()
        self._server = ControlServer(self.path, self._answer)
        self._loop.run_until_complete(self._server.start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._server.close())
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def __enter__(self) -> CommandService:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def requests(self, operation: str) -> list[Reply]:
        """Return the requests of one operation."""
        return [request for request in self.asked if request["op"] == operation]

    def add(self, path: str, value: Any, state: str = "REQUESTED", **fields: Any) -> Reply:
        """Record a command as if somebody had published it."""
        return self._on_loop(self._add(path, value, state, fields))

    def turn(self, command: str, state: str, cause: str = "", code: str = "") -> None:
        """Let a command enter a state."""
        self._on_loop(self._turn(command, state, cause, code))

    def _on_loop(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _add(self, path: str, value: Any, state: str, fields: Reply) -> Reply:
        known = self.targets.get(path, target(path))
        row = {
            "id": uuid7(),
            "target": path,
            "value": value,
            "unit": known["unit"],
            "author": "ann",
            "origin": "human",
            "reason": "",
            "state": state,
            "code": "",
            "cause": "",
            "ended": state in ENDS,
            "realm": known["realm"],
            "created": time.time(),
            "revision": 0,
            "expires_in": 10.0,
            "approvals": [],
            "needs": 0,
            "evidence": None,
            "history": [{"state": "REQUESTED", "time": time.time(), "cause": "", "code": ""}],
            **fields,
        }
        self.commands[row["id"]] = row
        if state != "REQUESTED":
            await self._turn(row["id"], state, row["cause"], row["code"])
        return row

    async def _turn(self, command: str, state: str, cause: str, code: str) -> None:
        row = self.commands[command]
        if state == "VALIDATED":
            known = self.targets[row["target"]]
            known["revision"] += 1
            known["desired"] = row["value"]
            row["revision"] = known["revision"]
        if state == "VERIFIED":
            row["evidence"] = self.evidence
        row.update(state=state, cause=cause, code=code, ended=state in ENDS)
        row["history"].append({"state": state, "time": time.time(), "cause": cause, "code": code})
        async with self._changed:
            self._changed.notify_all()

    async def _answer(self, request: Reply) -> AsyncIterator[Reply]:
        self.asked.append(request)
        while self.mute.is_set():
            await asyncio.sleep(0.01)
        operation = request.get("op")
        if operation == "follow":
            async for reply in self._follow(request):
                yield reply
            return
        yield await getattr(self, f"_on_{operation}")(request)

    async def _follow(self, request: Reply) -> AsyncIterator[Reply]:
        row = self._find(request["id"])
        told = 0
        while True:
            history = len(row["history"])
            if history > told or not told:
                told = history
                yield {"command": dict(row)}
                if row["ended"]:
                    return
            async with self._changed:
                if len(row["history"]) == told:
                    await self._changed.wait()

    def _find(self, prefix: str) -> Reply:
        found = [row for key, row in self.commands.items() if key.startswith(prefix)]
        if len(found) != 1:
            raise ServiceError(f"{len(found)} commands have an id that starts with {prefix!r}")
        return found[0]

    def _below(self, prim: str, path: str) -> bool:
        return prim in ("/", path) or path.startswith((prim + "/", prim + "."))

    async def _on_targets(self, request: Reply) -> Reply:
        prim = request.get("prim", "/")
        return {"targets": [r for p, r in self.targets.items() if self._below(prim, p)]}

    async def _on_publish(self, request: Reply) -> Reply:
        if self.refuse:
            raise ServiceError(self.refuse)
        if request["target"] not in self.targets:
            raise ServiceError(f"no command {request['target']}")
        known = self.commands.get(request.get("id", ""))
        if known is not None:
            return {"command": known}
        fields = {"reason": request.get("reason", ""), "needs": self.needs}
        if request.get("id"):
            fields["id"] = request["id"]
        row = await self._add(request["target"], request["value"], "REQUESTED", fields)
        seen = request.get("revision")
        if seen is not None and seen != self.targets[request["target"]]["revision"]:
            await self._turn(row["id"], "REJECTED", f"revision {seen} is not current", "revision")
        else:
            for state, cause, code in self.life:
                await self._turn(row["id"], state, cause, code)
        return {"command": {k: v for k, v in row.items() if k != "history"}}

    async def _on_commands(self, request: Reply) -> Reply:
        rows = [
            r for r in self.commands.values() if self._below(request.get("prim", "/"), r["target"])
        ]
        if request.get("open"):
            rows = [r for r in rows if not r["ended"]]
        rows = rows[::-1][: request.get("limit", 50)]
        return {"commands": rows, "allowed": self.allowed}

    async def _on_command(self, request: Reply) -> Reply:
        return {"command": self._find(request["id"])}

    async def _on_cancel(self, request: Reply) -> Reply:
        row = self._find(request["id"])
        if row["ended"]:
            raise ServiceError(f"{row['id']} has ended: {row['state']}")
        await self._turn(row["id"], "CANCELLED", request.get("reason", ""), "by-hand")
        return {"command": row}

    async def _on_approve_command(self, request: Reply) -> Reply:
        row = self._find(request["id"])
        row["approvals"].append("bob")
        if len(row["approvals"]) >= row["needs"]:
            await self._turn(row["id"], "APPROVED", "", "")
        return {"command": row}

    async def _on_deny_command(self, request: Reply) -> Reply:
        row = self._find(request["id"])
        await self._turn(row["id"], "DENIED", request.get("reason", ""), "by-hand")
        return {"command": row}

    async def _on_halt(self, request: Reply) -> Reply:
        rows = []
        for path, known in self.targets.items():
            if self._below(request["prim"], path) and known.get("safe") is not None:
                row = await self._add(path, known["safe"], "REQUESTED", {"origin": "stop"})
                await self._turn(row["id"], "SENT", "", "")
                rows.append(row)
        return {"commands": rows}
