"""The connection of a viewer: it comes back, resumes, stays small, and keeps its secret."""

from __future__ import annotations

import datetime
import ipaddress
import json
import logging
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stagetwin import AccessError, CommandError, ServiceError
from stagetwin.sync import Frame, Mail, SyncClient
from stagetwin.sync import _client as client_module
from stagetwin.sync._client import wait_after
from tests.stages.sync.tiny_service import TinyService, until

SIZE = 50


def channels(count: int = SIZE) -> list[dict[str, Any]]:
    return [
        {
            "path": f"/Plant/P{i}.v",
            "prim": f"/Plant/P{i}",
            "signal": "v",
            "element": -1,
            "target": f"/Plant/P{i}.twin:telemetry:v:value",
            "type": "double",
        }
        for i in range(count)
    ]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back at once: how long is waited is tested by itself."""
    monkeypatch.setattr(client_module, "SHORTEST_WAIT", 0.02)


@pytest.fixture
def service() -> Iterator[TinyService]:
    made = TinyService()
    made.board.table(channels())
    yield made
    made.close()


@pytest.fixture
def client(service: TinyService) -> Iterator[SyncClient]:
    with SyncClient(service.url) as made:
        until(lambda: made.state.state == "live")
        yield made


class Taken:
    """Everything that was taken, as a viewer would have it."""

    def __init__(self, client: SyncClient) -> None:
        self.client = client
        self.values: dict[int, float] = {}
        self.mails: list[Mail] = []

    def take(self) -> Taken:
        mail = self.client.take()
        self.mails.append(mail)
        if mail.channels is not None:
            self.values.clear()
        for frame in mail.frames:
            for section in frame.sections:
                if section.values is not None:
                    self.values.update(
                        zip(section.rows.tolist(), np.asarray(section.values).tolist(), strict=True)
                    )
        return self

    @property
    def frames(self) -> list[Frame]:
        return [frame for mail in self.mails for frame in mail.frames]

    @property
    def tables(self) -> list[dict[str, Any]]:
        return [mail.channels for mail in self.mails if mail.channels is not None]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for mail in self.mails for event in mail.events]


def test_it_is_welcomed_and_gets_a_table_and_a_snapshot(
    service: TinyService, client: SyncClient
) -> None:
    taken = Taken(client)
    service.update([0, 1], [1.5, 2.5])
    until(lambda: taken.take().values == {0: 1.5, 1: 2.5})
    state = client.state
    assert (state.user, state.run, state.stage, state.commands) == (
        "ada",
        "run-1",
        "plant.usda",
        True,
    )
    (welcome,) = [mail.welcome for mail in taken.mails if mail.welcome is not None]
    assert welcome["op"] == "welcome"
    (table,) = taken.tables
    assert [row["path"] for row in table["channels"]] == [row["path"] for row in channels()]
    assert taken.frames[0].since == 0


def test_it_subscribes_anew(service: TinyService, client: SyncClient) -> None:
    taken = Taken(client)
    client.subscribe(prims=["/Plant/P3", "/Plant/P7"], rate=5.0)
    until(
        lambda: [m for m in taken.take().mails if m.channels and len(m.channels["channels"]) == 2]
    )
    service.update(list(range(SIZE)), [float(i) for i in range(SIZE)])
    until(lambda: taken.take().values == {0: 3.0, 1: 7.0})
    assert service.asked("subscribe")[-1]["rate"] == 5.0


def test_an_owner_that_does_not_look_finds_the_newest_in_one_frame(
    service: TinyService, client: SyncClient
) -> None:
    for tick in range(300):
        service.update([tick % SIZE, 0], [float(tick), float(-tick)])
    until(lambda: client.state.tick == service.board.tick)
    taken = Taken(client).take()
    expected = {tick % SIZE: float(tick) for tick in range(300)} | {0: -299.0}
    assert taken.values == expected
    (frame,) = taken.frames
    assert (frame.since, frame.tick) == (0, service.board.tick)
    assert len(frame.sections) <= 2
    assert sum(len(section.rows) for section in frame.sections) == SIZE


def test_a_cut_connection_comes_back_and_resumes(service: TinyService, client: SyncClient) -> None:
    taken = Taken(client)
    service.update(list(range(SIZE)), [1.0] * SIZE)
    until(lambda: len(taken.take().values) == SIZE)
    tick = client.state.tick
    service.cut()
    until(lambda: not service.clients or client.state.connections > 1)
    service.update([4], [9.0])
    until(lambda: taken.take().values[4] == 9.0)
    resumed = taken.frames[-1]
    assert resumed.since >= tick
    assert sum(len(section.rows) for section in resumed.sections) == 1
    hello = service.asked("hello")[-1]
    assert hello["resume"]["run"] == "run-1"
    assert client.state.connections == 2
    assert len(taken.tables) == 1


def test_a_new_run_of_the_service_is_a_new_beginning(
    service: TinyService, client: SyncClient
) -> None:
    taken = Taken(client)
    service.update([0], [1.0])
    until(lambda: taken.take().values == {0: 1.0})
    service.run = "run-2"
    service.cut()
    until(lambda: client.state.run == "run-2")
    until(lambda: len(taken.take().tables) == 2)
    until(lambda: taken.take().values == {0: 1.0})


def test_a_torn_frame_is_counted_and_everything_sent_anew(
    service: TinyService, client: SyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    taken = Taken(client)
    service.update([0], [1.0])
    until(lambda: taken.take().values == {0: 1.0})
    with service.lock:
        service.clients[0].socket.send(service.board.encoded(service.board.select(), 0)[:50])
    until(lambda: client.state.torn == 1)
    until(lambda: len(taken.take().tables) == 2)
    until(lambda: taken.take().values == {0: 1.0})
    assert "is torn" in caplog.text


def test_a_missing_frame_is_noticed(service: TinyService, client: SyncClient) -> None:
    taken = Taken(client)
    service.update([0], [1.0])
    until(lambda: taken.take().values == {0: 1.0})
    with service.lock:
        service.clients[0].sent += 5  # as if frames had been left out
        service.board.update(service.board.tick + 6, 1.0)
    service.update([1], [2.0])
    until(lambda: taken.take().values == {0: 1.0, 1: 2.0})
    assert len(taken.tables) == 2


def test_events_are_one_a_subject(service: TinyService, client: SyncClient) -> None:
    until(lambda: service.clients)
    for number in range(200):
        row = {"id": f"c{number % 3}", "state": str(number), "target": "/P.x"}
        service.event({"op": "command", "command": row})
        service.event({"op": "connections", "connections": {f"n{number % 2}": {"state": number}}})
        service.event({"op": "draft", "session": "s9", "target": "/P.x", "value": number})
    service.event({"op": "alarm", "alarm": {"id": "last"}})
    service.event({"op": "alarm"})  # names no subject
    taken = Taken(client)
    service.update([0], [5.0])
    until(lambda: client.state.tick == service.board.tick)
    events = taken.take().events
    assert [e["command"]["state"] for e in events if e["op"] == "command"] == ["197", "198", "199"]
    (connections,) = [e["connections"] for e in events if e["op"] == "connections"]
    assert connections == {"n0": {"state": 198}, "n1": {"state": 199}}
    assert [e["value"] for e in events if e["op"] == "draft"] == [199]
    assert [e["alarm"]["id"] for e in events if e["op"] == "alarm"] == ["last"]


def test_too_many_subjects_are_bounded_and_told(
    service: TinyService, client: SyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stagetwin.sync._mailbox.EVENTS_KEPT", 10)
    until(lambda: service.clients)
    for number in range(30):
        service.event({"op": "alarm", "alarm": {"id": str(number)}})
    service.update([0], [5.0])
    until(lambda: client.state.tick == service.board.tick)
    mail = client.take()
    assert mail.missed
    assert [e["alarm"]["id"] for e in mail.events] == [str(n) for n in range(20, 30)]
    assert not client.take().missed


def test_it_asks_and_is_answered(service: TinyService, client: SyncClient) -> None:
    service.answers["targets"] = lambda r: {"targets": [r["prim"]]}
    assert client.ask(op="targets", prim="/Plant") == {"targets": ["/Plant"]}
    asking = client.service()
    assert asking.ask(op="targets", prim="/P")["targets"] == ["/P"]
    asking.close()
    assert client.state.state == "live"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("CommandError", CommandError),
        ("AccessError", AccessError),
        ("StageError", ServiceError),
        ("__doc__", ServiceError),
    ],
)
def test_a_refusal_is_raised_as_what_it_is(
    service: TinyService, client: SyncClient, kind: str, error: type[Exception]
) -> None:
    service.answers["publish"] = lambda _: {"ok": False, "error": "not now", "kind": kind}
    with pytest.raises(error, match="not now") as raised:
        client.ask(op="publish")
    assert type(raised.value) is error


def test_a_posted_question_is_called_back_by_whoever_takes(
    service: TinyService, client: SyncClient
) -> None:
    service.answers["commands"] = lambda _: {"commands": [1]}
    found: list[tuple[Any, int]] = []
    client.post({"op": "commands"}, lambda a: found.append((a.reply, threading.get_ident())))
    client.post({"op": "nothing"}, lambda a: found.append((a.error, threading.get_ident())))
    until(lambda: client.take() and len(found) == 2)
    me = threading.get_ident()
    assert found == [({"commands": [1]}, me), ("no operation 'nothing'", me)]


def test_questions_end_with_the_connection(service: TinyService, client: SyncClient) -> None:
    held = threading.Event()

    def hold(_: dict[str, Any]) -> dict[str, Any]:
        held.set()
        return {"op": "else", "id": -1}  # never answered

    service.answers["commands"] = hold
    found: list[Any] = []
    client.post({"op": "commands"}, found.append)
    assert held.wait(20)
    service.cut()
    until(lambda: client.take() and found)
    assert found[0].lost
    assert "connection broke" in found[0].error


def test_without_a_connection_it_says_so() -> None:
    with SyncClient("http://127.0.0.1:9") as client:
        until(lambda: client.state.state == "lost")
        assert "cannot be reached" in client.state.cause
        with pytest.raises(ServiceError, match=r"no connection to ws://127\.0\.0\.1:9/sync"):
            client.ask(op="status")
        with pytest.raises(ServiceError, match="no connection"):
            client.service()
        found: list[Any] = []
        client.post({"op": "status"}, found.append)
        client.take()
        assert found[0].lost


def test_an_answer_that_never_comes_is_given_up(service: TinyService) -> None:
    service.answers["commands"] = lambda _: {"op": "else"}
    with SyncClient(service.url, timeout=0.05) as client:
        until(lambda: client.state.state == "live")
        with pytest.raises(ServiceError, match="did not answer in time"):
            client.ask(op="commands")


def test_a_service_that_falls_silent_is_left(
    service: TinyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SILENCE", 0.2)
    monkeypatch.setattr(client_module, "LOOK_EVERY", 0.02)
    with SyncClient(service.url) as client:
        until(lambda: client.state.connections >= 2)


def test_a_wrong_token_is_refused_and_the_right_one_is_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "sesame-42"
    service = TinyService(token=secret)
    service.board.table(channels(2))
    try:
        with SyncClient(service.url, token="wrong-17") as client:
            until(lambda: client.state.state == "refused")
            assert "401" in client.state.cause
        with SyncClient(service.url, token=secret) as client:
            until(lambda: client.state.state == "live")
            service.update([0], [1.0])
            until(lambda: client.take().frames)
            shown = f"{client!r} {client.state!r} {vars(client)['_address']!r}"
        assert service.headers[-1]["path"] == "/sync"
        assert service.headers[-1]["Authorization"] == f"Bearer {secret}"
        for word in (secret, "wrong-17"):
            assert word not in shown
            assert word not in caplog.text
            assert word not in json.dumps(service.said)
    finally:
        service.close()


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://plant.example:8080", "loopback only"),
        ("ws://192.0.2.1/sync", "loopback only"),
        ("https://ada:secret@plant.example", "a user, a query"),
        ("https://plant.example/?token=secret", "a user, a query"),
        ("ftp://plant.example", "https://host:port"),
        ("plant.example:80", "https://host:port"),
        ("https://plant.example:99999", "cannot be read"),
    ],
)
def test_a_url_that_a_secret_must_not_go_to_is_refused(url: str, cause: str) -> None:
    with pytest.raises(ServiceError, match=cause) as raised:
        SyncClient(url, token="t")
    assert "secret" not in str(raised.value)


def test_a_redirect_is_not_followed(service: TinyService) -> None:
    moved = TinyService()
    moved.redirect = f"ws://127.0.0.1:{service.port}/sync"
    try:
        with SyncClient(moved.url, token="t") as client:
            until(lambda: client.state.state == "lost" and len(moved.headers) > 1)
        assert service.headers == []
    finally:
        moved.close()


def authority(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate of 127.0.0.1 that is its own authority; return its file and a server's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    file, keys = folder / f"{name}.pem", folder / f"{name}.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    keys.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, keys)
    return file, context


def test_tls_is_verified(tmp_path: Path) -> None:
    file, context = authority(tmp_path, "plant")
    other, _ = authority(tmp_path, "other")
    service = TinyService(tls=context)
    service.board.table(channels(2))
    try:
        with SyncClient(service.url, ca_file=str(file)) as client:
            until(lambda: client.state.state == "live")
        for wrong in (str(other), ""):
            with SyncClient(service.url, ca_file=wrong, token="t") as client:
                until(lambda client=client: client.state.state == "lost")
                assert "certificate" in client.state.cause.lower()
        with pytest.raises(ServiceError, match="cannot be read"):
            SyncClient(service.url, ca_file=str(tmp_path / "none.pem"))
        assert len(service.headers) == 1
    finally:
        service.close()


def test_between_tries_it_waits_longer_and_never_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SHORTEST_WAIT", 0.5)
    for failures, longest in ((0, 0.5), (1, 1.0), (3, 4.0), (6, 30.0), (10_000, 30.0)):
        waits = [wait_after(failures) for _ in range(100)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 50


def test_it_leaves_no_thread(service: TinyService) -> None:
    client = SyncClient(service.url)
    until(lambda: client.state.state == "live")
    assert client.close()
    assert client.state.state == "closed"
    assert "sync" not in {thread.name for thread in threading.enumerate()}
