"""Guards: what a plant approved about its commands, and what happens when that changes.

Level, limits, addresses, permissives and policy are read from a separate stage opened on the root
layers with a session of its own, because an edit in a session could otherwise raise a hard limit or
redirect an address. Per asset they are hashed; an asset whose hash is not the approved one runs as
`shadow` until somebody approves it again.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from pxr import Sdf, Usd
from pydantic import BaseModel, ConfigDict, ValidationError

from stagetwin._errors import StageError
from stagetwin.bindings import (
    BindingReading,
    BindingTable,
    CommandBinding,
    ModelBinding,
    RuleBinding,
    TelemetryBinding,
    read_bindings,
)
from stagetwin.ports import ConnectionSpec

__all__ = ["Approval", "GuardBook", "GuardStage", "guard_hashes", "write_atomically"]


class Approval(BaseModel):
    """One asset's approved guards.

    Attributes:
        hash: of the guards.
        author: who approved.
        time: when [s, Unix].
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hash: str
    author: str
    time: float


class _BookFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    assets: dict[str, Approval] = {}


class GuardStage:
    """The plant as its root layers say, whatever a session says on top."""

    def __init__(self, root: Sdf.Layer) -> None:
        self.stage = Usd.Stage.Open(root, Sdf.Layer.CreateAnonymous("guards.usda"))
        if not self.stage:
            raise StageError(f"cannot open {root.identifier} for its guards")

    def reading(self) -> BindingReading:
        """Begin to read the guards; `guard_hashes` of its table, once it is complete."""
        return BindingReading(self.stage)

    def hashes(self) -> dict[str, str]:
        """Return the guard hash of each asset that claims to be a twin, by prim path."""
        return guard_hashes(read_bindings(self.stage))


def guard_hashes(table: BindingTable) -> dict[str, str]:
    """Return the hash of the guards of each asset of level `twin`, by prim path.

    A hash covers the asset's level, roles and local/remote switch, every field of its commands and
    of the rules that command it, the telemetry behind permissives, read-backs, the switch and those
    rules, where the connections of all of these lead, and the maps that are driven by there. It
    covers the asset's models, parameters and files included, since a rehearsal believes them. Where
    a command of the asset asks for a rehearsal, it covers the models of assets that are no twins as
    well, whose own guards nobody approves, and what any rehearsal measures and judges by: see
    `_judged`.
    """
    by_target: dict[str, list[TelemetryBinding]] = {}
    for binding in table.telemetry.values():
        # Redundant signals, and the elements of an array, share a target.
        by_target.setdefault(binding.target, []).append(binding)
    by_asset: dict[str, list[CommandBinding]] = {}
    for command in table.commands:
        by_asset.setdefault(command.asset, []).append(command)
    asset_of = {command.path: command.asset for command in table.commands}
    rules_of: dict[str, list[RuleBinding]] = {}
    for rule in table.rules:
        rules_of.setdefault(asset_of[rule.command], []).append(rule)
    models_of: dict[str, list[ModelBinding]] = {}
    for model in sorted(table.models, key=lambda m: m.path):
        models_of.setdefault(model.asset, []).append(model)
    twins = {asset.prim for asset in table.assets.values() if asset.level == "twin"}
    loose = [m for prim in sorted(models_of.keys() - twins) for m in models_of[prim]]
    judged: bytes | None = None
    hashes: dict[str, str] = {}
    for asset in table.assets.values():
        if asset.level != "twin":
            continue
        commands = sorted(by_asset.get(asset.prim, ()), key=lambda c: c.signal)
        rules = sorted(rules_of.get(asset.prim, ()), key=lambda r: r.path)
        paths = sorted(
            {path for c in commands for path in (*c.permissives, c.readback)}
            | {rule.signal for rule in rules}
            | {asset.remote}
        )
        inputs = [
            sorted(by_target.get(path, ()), key=lambda t: (t.path, t.element)) for path in paths
        ]
        names = {each.connection for each in (*commands, *itertools.chain(*inputs))}
        connections = [_guarded(table.connections[name]) for name in sorted(names)]
        # msgpack keeps types apart and floats exact, infinity included.
        parts: list[object] = [asset, commands, rules, paths, inputs, connections]
        models = list(models_of.get(asset.prim, ()))
        rehearsed = any(command.rehearsal == "required" for command in commands)
        if rehearsed:
            models += loose
        if models:
            # What is only watched decides nothing.
            sound = [replace(model, tracked={}) for model in models]
            parts.append([(model, _digest(model.file)) for model in sound])
        if rehearsed:
            judged = _judged(table) if judged is None else judged
            parts.append(judged)
        hashes[asset.prim] = hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()
    return hashes


def _guarded(connection: ConnectionSpec) -> ConnectionSpec:
    """Return a connection with its map's digest for the map."""
    if not connection.map:
        return connection
    digest = hashlib.sha256(connection.map.encode()).hexdigest()
    return msgspec.structs.replace(connection, map=digest)


def _judged(table: BindingTable) -> bytes:
    """Return the hash of what rehearsals judge by: alarms, and all that models read and write.

    Of these signals and commands it holds each field, limits included, and where their connections
    lead; of alarms everything but their words.
    """
    named = {path for model in table.models for path in (*model.reads, *model.writes)}
    named |= {path for m in table.models for paths in m.relations.values() for path in paths}

    def is_named(each: TelemetryBinding | CommandBinding, own: str) -> bool:
        # A signal that drives another property is found by that one, by its own, or by its prim.
        return bool(named & {each.target, f"{each.prim}.twin:{own}", each.prim})

    commands = [c for c in table.commands if is_named(c, f"command:{c.signal}:desired")]
    # What an actuator is read back by stands for it where it was never told anything.
    named |= {command.readback for command in commands}
    signals = [t for t in table.telemetry.values() if is_named(t, f"telemetry:{t.signal}:value")]
    names = {each.connection for each in (*commands, *signals)}
    alarms = [replace(alarm, message="", advice="") for alarm in table.alarms]
    parts: list[object] = [
        sorted(alarms, key=lambda alarm: alarm.path),
        sorted(commands, key=lambda command: command.path),
        sorted(signals, key=lambda signal: (signal.path, signal.element)),
        [_guarded(table.connections[name]) for name in sorted(names)],
    ]
    return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()


def _digest(file: str) -> str:
    """Return the hash of a model's file; empty where there is none or it cannot be read."""
    try:
        status = os.stat(file) if file else None
    except OSError:
        return ""
    if status is None:
        return ""
    return _digest_at(file, status.st_mtime_ns, status.st_size, status.st_ino)


@cache
def _digest_at(file: str, _time: int, _size: int, _inode: int) -> str:
    try:
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""


class GuardBook:
    """The approved guards of one plant, in a file that only its service account may read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._approvals: dict[str, Approval] = {}
        self._fault = ""
        self.reload()

    def reload(self) -> None:
        """Read the file; without one, nothing is approved.

        Raises:
            StageError: it is damaged, or others may write it. Nothing counts then, whatever it said
                before.
        """
        self._approvals, self._fault = {}, ""
        try:
            self._approvals = self._read()
        except StageError as error:
            self._fault = str(error)
            raise

    def _read(self) -> dict[str, Approval]:
        try:
            mode = self._path.stat().st_mode
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise StageError(
                f"{self._path} cannot be read, nothing counts as approved: {error}"
            ) from None
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StageError(
                f"{self._path} can be written by others, nothing in it counts (chmod 600)"
            )
        try:
            return dict(_BookFile.model_validate_json(text).assets)
        except ValidationError as error:
            raise StageError(
                f"{self._path} is damaged, nothing counts as approved: {error}"
            ) from None

    def approve(self, hashes: Mapping[str, str], author: str, time: float) -> None:
        """Record guards as approved, and write the file.

        Two who approve at once are both heard: the file is read again under a lock.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.reload()
            for prim, digest in hashes.items():
                self._approvals[prim] = Approval(hash=digest, author=author, time=time)
            book = _BookFile(assets=self._approvals)
            write_atomically(self._path, book.model_dump_json(indent=1).encode())

    def demotions(self, hashes: Mapping[str, str]) -> dict[str, str]:
        """Return why assets run as shadow although they claim to be twins, by prim path."""
        causes: dict[str, str] = {}
        for prim, digest in hashes.items():
            approval = self._approvals.get(prim)
            if approval is None:
                causes[prim] = self._fault or "its guards were never approved (stagetwin approve)"
            elif approval.hash != digest:
                causes[prim] = f"its guards changed since {approval.author} approved them"
        return causes


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
