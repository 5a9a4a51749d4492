"""One session of a command client: its targets as the server has them, and what is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaError

from stagetwin import WireError
from stagetwin.actuation import CommandGate, CommandTarget, Fate, Transmission
from stagetwin.clock import Clock
from stagetwin_bridges._errors import FieldError, NamespaceError
from stagetwin_bridges.opcua._address import Address, MethodAddress
from stagetwin_bridges.opcua._command_data_types import NotCommandableError
from stagetwin_bridges.opcua._command_nodes import Nodes
from stagetwin_bridges.opcua._command_outcome import outcome_of
from stagetwin_bridges.opcua._command_plan import CallPlan, Plan, Request, WritePlan
from stagetwin_bridges.opcua._command_reader import Reader, attribute
from stagetwin_bridges.opcua._command_wire import NotWrittenError, Wire

__all__ = ["CommandSession", "Tell", "cause_of"]

Tell = Callable[[str, Fate, str], None]
"""Takes the id of a command, its fate and the cause."""

_PROBE_TIMEOUT = 2.0
_REQUEST_TIMEOUT = 4.0
_DOWN = {
    int(ua.ServerState.Failed): "failed",
    int(ua.ServerState.Suspended): "suspended",
    int(ua.ServerState.Shutdown): "shutting down",
}


def cause_of(error: BaseException) -> str:
    """Return why a request had no answer, in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return " ".join(str(error).split()) or type(error).__name__


class CommandSession:
    """Prepares the targets of one connected client, and writes commands to them.

    Lives on one event loop and ends with the connection: it never sends anything twice.

    Attributes:
        wire: the transport.
        reader: asks the server.
        nodes: what is known of its nodes.
        namespaces: the server's NamespaceArray.
    """

    def __init__(
        self, client: Client, gate: CommandGate, clock: Clock, tell: Tell, answer_timeout: float
    ) -> None:
        """Use a connected client.

        Args:
            client: connected, without reconnection of its own.
            gate: asked before every write.
            clock: that of the deadlines.
            tell: told the fate of every transmission.
            answer_timeout: how long an answer is waited for [s].

        Raises:
            NotConnectedError: the connection has gone already.
        """
        self.wire = Wire(client)
        self.reader = Reader(client, _REQUEST_TIMEOUT)
        self.nodes = Nodes(self.reader)
        self.namespaces: list[str] = []
        self._probe = Reader(client, _PROBE_TIMEOUT)
        self._gate = gate
        self._clock = clock
        self._tell = tell
        self._answer_timeout = answer_timeout
        self._plans: dict[CommandTarget, Plan | str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- targets ---------------------------------------------------------------------------------

    async def begin(self, targets: Sequence[CommandTarget]) -> None:
        """Read the namespaces and prepare every target; one that cannot be stops no other.

        Raises:
            UaError, OSError, TimeoutError: the server does not answer.
        """
        self.namespaces = await self.reader.namespaces()
        await self.bind(targets)

    async def bind(self, targets: Sequence[CommandTarget]) -> None:
        """Prepare targets that are not ready, and forget what is not among them.

        Raises:
            OSError, TimeoutError: the server does not answer.
        """
        wanted = set(targets)
        self._plans = {known: plan for known, plan in self._plans.items() if known in wanted}
        await self._prepare([t for t in targets if isinstance(self._plans.get(t, ""), str)])

    async def _prepare(self, targets: Sequence[CommandTarget]) -> None:
        variables: list[tuple[CommandTarget, ua.NodeId]] = []
        for target in targets:
            if target.operation == "method":
                self._plans[target] = await self._method_plan(target)
                continue
            try:
                variables.append((target, Address.parse(target.address).resolve(self.namespaces)))
            except (FieldError, NamespaceError) as error:
                self._plans[target] = str(error)
        found = await self.nodes.variables([node for _, node in variables])
        for (target, node), variable in zip(variables, found, strict=True):
            try:
                if isinstance(variable, NotCommandableError):
                    raise variable
                self._plans[target] = WritePlan.of(node, variable, target)
            except NotCommandableError as error:
                self._plans[target] = f"{target.address}: {error}"

    async def _method_plan(self, target: CommandTarget) -> CallPlan | str:
        try:
            address = MethodAddress.parse(target.address)
            on = address.on.resolve(self.namespaces)
            method = address.method.resolve(self.namespaces)
            return CallPlan.of(on, method, await self.nodes.method(method), target)
        except (FieldError, NamespaceError) as error:
            return str(error)
        except (NotCommandableError, UaError, TimeoutError) as error:
            return f"{target.address}: {cause_of(error)}"

    def unready(self, targets: Iterable[CommandTarget]) -> list[str]:
        """Return for each target that cannot be commanded its path and why."""
        return [
            f"{target.path}: {plan}"
            for target in targets
            if isinstance(plan := self._plans.get(target, "not prepared"), str)
        ]

    # -- commands --------------------------------------------------------------------------------

    @property
    def under_way(self) -> bool:
        """Whether anything still waits for an answer."""
        return bool(self._tasks)

    def send(self, transmission: Transmission) -> None:
        """Write it now, or prepare its target and write it before its deadline, or withhold it."""
        plan = self._plans.get(transmission.target)
        if isinstance(plan, (WritePlan, CallPlan)):
            self._write(transmission, plan)
        else:
            self.spawn(self._prepare_and_write(transmission), f"prepare {transmission.id}")

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something that ends with the session at the latest."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way: reported as withheld, or as unknown if it has been sent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _prepare_and_write(self, transmission: Transmission) -> None:
        target = transmission.target
        try:
            # A target may have been missing or locked when it was looked at; perhaps it is no more.
            async with asyncio.timeout(max(transmission.deadline - self._clock.steady(), 0.0)):
                await self._prepare([target])
            plan = self._plans.get(target, "no longer bound")
        except TimeoutError:
            plan = self._plans.get(target, "")
            reason = plan if isinstance(plan, str) and plan else "the server did not describe it"
            plan = f"{reason}; not prepared before its deadline"
        except asyncio.CancelledError:
            plan = "the session ended"
        except (UaError, OSError) as error:
            plan = cause_of(error)
        if isinstance(plan, str):
            self._tell(transmission.id, Fate.WITHHELD, plan)
        else:
            self._write(transmission, plan)

    def _write(self, transmission: Transmission, plan: Plan) -> None:
        try:
            request = plan.request(transmission, self._gate.remaining(transmission))
            request.RequestHeader.AuditEntryId = ua.String(transmission.id)
            # What cannot be encoded must show before the token is used up.
            struct_to_binary(request)
        except (NotCommandableError, WireError) as error:
            self._tell(transmission.id, Fate.WITHHELD, str(error))
            return
        except Exception as error:
            cause = f"it cannot be encoded: {type(error).__name__}: {error}"
            self._tell(transmission.id, Fate.WITHHELD, cause)
            return
        cause = self.wire.obstacle() or self._gate.withheld(transmission)
        if cause:
            self._tell(transmission.id, Fate.WITHHELD, cause)
            return
        try:
            answer = self.wire.write(request, self._answer_timeout)
        except NotWrittenError as error:
            self._tell(transmission.id, Fate.WITHHELD, str(error))
            return
        self._tell(transmission.id, Fate.SENT, "")
        self.spawn(self._follow(transmission, request, answer), f"answer {transmission.id}")

    async def _follow(
        self, transmission: Transmission, request: Request, answer: asyncio.Future[Buffer]
    ) -> None:
        id = transmission.id
        cause = f"no answer within {self._answer_timeout:g} s"
        try:
            await self.wire.drained(max(transmission.deadline - self._clock.steady(), 0.0))
            await asyncio.wait([answer], timeout=self._answer_timeout)
        except asyncio.CancelledError:
            cause = "the session ended before the answer"
        if not answer.done():
            answer.cancel()
            self._tell(id, Fate.UNKNOWN, cause)
            return
        try:
            body = answer.result()
        except Exception as error:
            lost, why = "connection lost before the answer", cause_of(error)
            self._tell(id, Fate.UNKNOWN, lost if why == "connection lost" else f"{lost}: {why}")
            return
        try:
            fate, cause = outcome_of(request, body)
        except Exception as error:
            # asyncua raises what it happens to on bytes that it cannot read.
            fate, cause = Fate.UNKNOWN, f"the answer cannot be read: {cause_of(error)}"
        self._tell(id, fate, cause)

    # -- health ----------------------------------------------------------------------------------

    async def probe(self) -> str:
        """Read the server's state; return why it takes no commands, empty if it does.

        Raises:
            UaError, OSError, TimeoutError: it does not answer.
        """
        state = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_State))
        (result,) = await self._probe.read([(state, AttributeIds.Value)])
        said = attribute(result)
        return f"the server says it is {_DOWN[said]}" if said in _DOWN else ""
