"""Keeps publish requests with a server, and watches that it answers them.

asyncua's own loop has one request under way, takes no note of sequence numbers, and does not see
that a subscription has gone silent. This one uses asyncua's transport alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from stagetwin_bridges._errors import NotConnectedError
from stagetwin_bridges.opcua._notification import Decoder, Published

__all__ = ["Publishing"]

_SPARE: Final = 2
"""Requests that wait at the server beyond one for each subscription."""
_LAST_SEQUENCE: Final = 2**32 - 1


@dataclass(slots=True)
class _Subscription:
    silence: float
    heard: float
    expected: int = 0


class Publishing:
    """The publish requests of one session.

    Attributes:
        heard: when the server last published anything [s, monotonic].
        ended: done when the session cannot go on; the result says why.
    """

    def __init__(
        self,
        client: Client,
        decoder: Decoder,
        on_published: Callable[[Published, int], None],
    ) -> None:
        """Prepare; requests leave when the first subscription is added.

        Args:
            client: connected.
            decoder: decodes the responses.
            on_published: told what each said, and how many notifications before it never came.

        Raises:
            NotConnectedError: the connection has gone already.
        """
        protocol = client.uaclient.protocol
        if protocol is None:
            raise NotConnectedError("connection lost")
        self.heard = time.monotonic()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._protocol = protocol
        self._decoder = decoder
        self._on_published = on_published
        self._subscriptions: dict[int, _Subscription] = {}
        self._acknowledgements: deque[ua.SubscriptionAcknowledgement] = deque()
        self._under_way = 0
        self._most = 1_000

    def add(self, subscription: int, silence: float) -> None:
        """Follow a subscription, which may be silent for so long [s]."""
        self._subscriptions[subscription] = _Subscription(silence, time.monotonic())
        self._fill()

    def end(self, cause: str) -> None:
        """Send no more requests."""
        if not self.ended.done():
            self.ended.set_result(cause)

    def silent(self) -> str:
        """Return what is wrong where a subscription has been silent for too long, else nothing."""
        now = time.monotonic()
        for known in self._subscriptions.values():
            quiet = now - known.heard
            if quiet > known.silence:
                return f"the server has published nothing for {quiet:.1f} s"
        return ""

    # -- requests --------------------------------------------------------------------------------

    def _fill(self) -> None:
        wanted = min(len(self._subscriptions) + _SPARE, self._most)
        while self._under_way < wanted and not self.ended.done():
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements = list(self._acknowledgements)
            self._acknowledgements.clear()
            try:
                # The answers' order is kept by callbacks on the very futures that asyncua settles.
                answer: asyncio.Future[Buffer] = self._protocol._send_request(request, 0)  # noqa: SLF001
            except Exception as error:
                self.end(f"connection lost: {error}")
                return
            self._under_way += 1
            answer.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if answer.cancelled():
            return
        error = answer.exception()
        if self.ended.done():
            return
        if error is not None:
            self.end(f"connection lost: {error}")
            return
        try:
            said = self._decoder.read(answer.result())
        except UaStatusCodeError as fault:
            self._on_fault(fault.code)
        except Exception as unreadable:
            self.end(f"a publish response cannot be read: {unreadable}")
        else:
            self._take(said)
        self._fill()

    def _on_fault(self, code: int) -> None:
        if code == StatusCodes.BadTooManyPublishRequests:
            self._most = max(1, self._under_way)
        elif code != StatusCodes.BadTimeout:
            self.end(f"the server ended the subscription: {ua.StatusCode(ua.UInt32(code)).name}")

    def _take(self, said: Published) -> None:
        known = self._subscriptions.get(said.subscription)
        if known is None:
            return
        self.heard = known.heard = time.monotonic()
        missed = 0
        if said.sequence:
            if known.expected and said.sequence > known.expected:
                missed = said.sequence - known.expected
            known.expected = said.sequence
            if not said.alive_only:
                known.expected = 1 if said.sequence >= _LAST_SEQUENCE else said.sequence + 1
                acknowledgement = ua.SubscriptionAcknowledgement()
                acknowledgement.SubscriptionId = ua.UInt32(said.subscription)
                acknowledgement.SequenceNumber = ua.UInt32(said.sequence)
                self._acknowledgements.append(acknowledgement)
        self._on_published(said, missed)
        if said.ended:
            self.end(f"the server ended the subscription: {said.ended}")
