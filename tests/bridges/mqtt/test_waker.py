"""What ends the wait of a connection's thread."""

from __future__ import annotations

import os
import resource
import select
import threading
import time
from collections.abc import Iterator

import pytest

from stagetwin_bridges.mqtt._waker import Waker


@pytest.fixture
def waker() -> Iterator[Waker]:
    made = Waker()
    yield made
    made.close()


def ready(waker: Waker) -> bool:
    poller = select.poll()
    poller.register(waker.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def test_it_is_readable_until_it_is_drained(waker: Waker) -> None:
    assert not ready(waker)
    for _ in range(1_000_000):
        waker.wake()  # more than the sockets hold: nobody waits
        if not select.select([], [waker._write], [], 0)[1]:
            break
    else:
        pytest.fail("the sockets hold everything")
    waker.wake()
    assert ready(waker)
    waker.drain()
    assert not ready(waker)


def test_a_wait_ends_by_time_or_by_a_wake_that_means_it(waker: Waker) -> None:
    began = time.monotonic()
    waker.wait(0.01, lambda: False)
    assert time.monotonic() - began >= 0.01
    over = threading.Event()
    thread = threading.Thread(target=waker.wait, args=(600.0, over.is_set))
    thread.start()
    waker.wake()  # means nothing: it waits on
    over.set()
    waker.wake()
    thread.join(30.0)
    assert not thread.is_alive()


def test_after_the_end_nothing_happens(waker: Waker) -> None:
    waker.close()
    waker.wake()
    assert waker.fileno() == -1


def test_it_waits_in_a_process_with_thousands_of_files() -> None:
    """`select` takes no descriptor from 1,024 on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this user may not open 1,200 files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    opened: list[int] = []
    try:
        while not opened or opened[-1] < 1024:
            opened.append(os.open(os.devnull, os.O_RDONLY))
        waker = Waker()
        assert waker.fileno() > 1023
        waker.wait(0.01, lambda: False)
        waker.close()
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
