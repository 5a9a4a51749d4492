"""HTTP beside the WebSocket: the way in, pages, rows, and what is refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stagetwin.gateway._openapi import OPENAPI
from tests.stages.gateway.house import PASSWORD, PROTOCOL, WAIT, House, token, wait_for

LINE1 = "/World/Line1"


@pytest.fixture
def ada(house: House) -> Iterator[httpx.Client]:
    with house.http() as client:
        yield client


@pytest.fixture
def browser(house: House) -> Iterator[httpx.Client]:
    """A browser that has not logged in, and says where its pages are from."""
    headers = {"Origin": house.url, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=house.url, headers=headers, timeout=WAIT) as client:
        yield client


# -- rows


def test_values_are_flat_rows(house: House, ada: httpx.Client) -> None:
    house.tell("send", "l1/p4/s5", 2.5)
    house.tell("send", "l1/p4/place", [1.0, 2.0, 3.0])
    row = wait_for(lambda: find(ada, "P4.s5", 2.5))
    assert row["path"] == f"{LINE1}/P4.s5"
    assert row["quality"] == "good"
    moment = dt.datetime.fromisoformat(row["time"])
    assert abs((dt.datetime.now(dt.UTC) - moment).total_seconds()) < 600
    assert all(not isinstance(value, (dict, list)) for value in row.values())
    place = wait_for(lambda: find(ada, "P4.place", "[1.0, 2.0, 3.0]"))
    assert (place["x"], place["y"], place["z"]) == (1.0, 2.0, 3.0)
    reply = ada.get("/api/v1/values", params={"prim": f"{LINE1}/P4", "quality": "good"}).json()
    assert {row["path"] for row in reply["rows"]} >= {f"{LINE1}/P4.s5", f"{LINE1}/P4.place"}
    assert {row["quality"] for row in reply["rows"]} == {"good"}
    assert reply["count"] == len(reply["rows"])


def find(client: httpx.Client, name: str, value: object) -> dict[str, Any] | None:
    (row,) = client.get(f"/api/v1/values/World/Line1/{name}").json()["rows"]
    return row if row["value"] == value else None


def test_grafana_finds_its_columns(house: House, ada: httpx.Client) -> None:
    """As the Infinity data source reads it: root selector `rows`, a selector for each column."""
    house.tell("send", "l1/p4/s6", 7.0)
    wait_for(lambda: find(ada, "P4.s6", 7.0))
    documented = Path(__file__).parents[3] / "docs" / "http.md"
    (example,) = re.findall(r"```json grafana\n(.*?)```", documented.read_text(), re.DOTALL)
    panel = json.loads(example)
    reply = ada.request(panel["url_options"]["method"], panel["url"].partition("PLANT")[2]).json()
    rows = reply[panel["root_selector"]]
    types = {"string": str, "number": (int, float), "timestamp": str}
    table = [
        {c["text"]: row[c["selector"]] for c in panel["columns"]}
        for row in rows
        if row["path"] == f"{LINE1}/P4.s6"
    ]
    assert len(table) == 1
    for column in panel["columns"]:
        value = table[0][column["text"]]
        assert isinstance(value, types[column["type"]])
        if column["type"] == "timestamp":
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value)


def test_commands_are_published_once_and_listed(ada: httpx.Client) -> None:
    identifier = "0198c0de-0000-7000-8000-00000000000a"
    wanted = {"id": identifier, "target": f"{LINE1}/P3.speed", "value": 1.0, "reason": "test"}
    for _ in range(2):
        answer = ada.post("/api/v1/commands", json=wanted)
        assert answer.status_code == 202
        assert answer.json()["command"]["id"] == identifier
    other = ada.post("/api/v1/commands", json={**wanted, "value": 2.0})
    assert other.status_code == 409
    rows = ada.get("/api/v1/commands", params={"prim": f"{LINE1}/P3"}).json()["rows"]
    assert [row["id"] for row in rows] == [identifier]
    assert all(not isinstance(value, (dict, list)) for value in rows[0].values())
    assert ada.get(f"/api/v1/commands/{identifier}").json()["command"]["history"]
    done = ada.post(f"/api/v1/commands/{identifier}/cancel", json={"reason": "enough"})
    assert done.status_code in (200, 409)
    assert ada.post(f"/api/v1/commands/{identifier}/repeat").status_code == 404


def test_targets_alarms_and_topics_are_listed(ada: httpx.Client) -> None:
    targets = ada.get("/api/v1/targets", params={"prim": f"{LINE1}/P1"}).json()
    assert [row["path"] for row in targets["rows"]] == [f"{LINE1}/P1.speed"]
    assert ada.get("/api/v1/alarms", params={"show": "all"}).json()["counts"]
    assert ada.get("/api/v1/topics").json()["rows"] is not None
    answer = ada.post("/api/v1/alarms/World/Line1/P1.none/acknowledge", json={"comment": ""})
    assert answer.status_code == 409
    assert ada.post("/api/v1/alarms/World/Line1/P1.none/silence").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/values?quality=great", 400),
        ("/api/v1/values?prim=World", 400),
        ("/api/v1/values?limit=0", 400),
        ("/api/v1/values?limit=%C2%B2", 400),
        ("/api/v1/values/World/Line1/P1.nothing", 404),
        ("/api/v1/values/World/Line1", 404),
        ("/api/v1/commands?limit=ten", 400),
        ("/api/v1/commands?limit=99999", 409),
        ("/api/v1/nothing", 404),
        ("/scene/glb/..%2F..%2Fpyproject.glb", 404),
        ("/..%2f..%2fpyproject.toml", 404),
        ("/.git/config", 404),
        ("/%00", 404),
    ],
)
def test_errors_are_problems(ada: httpx.Client, path: str, status: int) -> None:
    answer = ada.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]


def test_bodies_are_json_and_not_too_large(ada: httpx.Client) -> None:
    post = lambda **more: ada.post("/api/v1/commands", **more).status_code  # noqa: E731
    assert post(content=b"{}", headers={"Content-Type": "text/plain"}) == 400
    assert post(content=b"[1]", headers={"Content-Type": "application/json"}) == 400
    assert post(content=b"[" * 100_000, headers={"Content-Type": "application/json"}) == 400
    assert post(content=b"{", headers={"Content-Type": "application/json"}) == 400
    assert post(content=b"x" * (2**20 + 1), headers={"Content-Type": "application/json"}) == 413

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 2**16

    assert post(content=endless(), headers={"Content-Type": "application/json"}) == 413
    number = json.dumps({"target": f"{LINE1}/P3.speed", "value": 10**400}).encode()
    assert post(content=number, headers={"Content-Type": "application/json"}) == 400


# -- the description


def test_the_description_is_whole_and_names_every_route(ada: httpx.Client) -> None:
    served = httpx.get(f"{ada.base_url}/api/v1/openapi.json").json()
    assert served == json.loads(json.dumps(OPENAPI))
    assert served["openapi"].startswith("3.1.")
    operations = [
        (path, method, operation)
        for path, methods in served["paths"].items()
        for method, operation in methods.items()
    ]
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(names) == len(set(names))
    for path, _, operation in operations:
        in_path = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert operation["summary"]
        assert operation["responses"]
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(served)):
        place: Any = served
        for key in reference.split("/"):
            place = place[key]
    routes = (Path(__file__).parents[3] / "stages/stagetwin/gateway/_routes.py").read_text()
    found = set(re.findall(r'Route\(\s*"(/api/[^"]+|/health|/metrics)"', routes))
    assert {path.replace(":path", "") for path in found} == served["paths"].keys()


def test_health_says_more_to_those_who_are_known(house: House, ada: httpx.Client) -> None:
    assert httpx.get(f"{house.url}/health").json() == {"status": "ok"}
    known = ada.get("/health").json()
    assert known["signals"] > 100
    metrics = ada.get("/metrics").text
    assert "stagetwin_gateway_clients " in metrics
    assert "stagetwin_samples_applied_total " in metrics


# -- in and out


def test_who_logs_in_gets_a_cookie_that_scripts_do_not_see(browser: httpx.Client) -> None:
    page = browser.get("/?prim=/World/Line1&topic=3")
    assert page.status_code == 303
    following = page.headers["location"]
    assert following == "/login?next=%2F%3Fprim%3D%2FWorld%2FLine1%26topic%3D3"
    form = browser.get(following)
    assert 'name="password"' in form.text
    assert 'value="/?prim=/World/Line1&amp;topic=3"' in form.text
    fields = {"name": "ada", "password": PASSWORD, "next": "/?prim=/World/Line1"}
    entered = browser.post("/login", data=fields, headers={"Origin": "null"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/?prim=/World/Line1")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert browser.get("/").status_code == 200
    assert browser.get("/api/v1/values").status_code == 200
    left = browser.post("/logout")
    assert left.status_code == 303
    browser.cookies.clear()
    again = browser.get("/api/v1/values", headers={"Cookie": cookie.partition(";")[0]})
    assert again.status_code == 401


@pytest.mark.parametrize(
    "following", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "x"]
)
def test_logging_in_leads_to_our_own_pages_alone(browser: httpx.Client, following: str) -> None:
    fields = {"name": "ada", "password": PASSWORD, "next": following}
    assert browser.post("/login", data=fields).headers["location"] == "/"


def test_guessing_passwords_is_slowed_down(browser: httpx.Client) -> None:
    guess = lambda: browser.post("/login", json={"name": "bob", "password": "x" * 14})  # noqa: E731
    answers = [guess() for _ in range(8)]
    assert {answer.status_code for answer in answers[:5]} == {401}
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"]
    right = browser.post("/login", json={"name": "bob", "password": PASSWORD})
    assert right.status_code == 429
    assert "set-cookie" not in right.headers


def test_a_link_from_elsewhere_finds_the_session(browser: httpx.Client) -> None:
    page = browser.get(
        "/?topic=3", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    )
    assert page.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/?topic=3"' in page.text


def test_nobody_gets_anything_without_being_known(house: House) -> None:
    with httpx.Client(base_url=house.url, timeout=WAIT) as nobody:
        for path in (
            "values",
            "values/World/Line1/P1.s0",
            "commands",
            "targets",
            "alarms",
            "topics",
        ):
            answer = nobody.get(f"/api/v1/{path}")
            assert answer.status_code == 401
            assert "Bearer" in answer.headers["www-authenticate"]
        assert nobody.get("/scene/manifest.json").status_code == 401
        assert nobody.get("/scene/glb/00.glb").status_code == 401
        assert nobody.post("/api/v1/commands", json={}).status_code == 401
        wrong = {"Authorization": f"Bearer {token('nobody')}"}
        assert nobody.get("/api/v1/values", headers=wrong).status_code == 401

    async def socket() -> int:
        try:
            async with house.socket_of(secret="wrong"):
                return 101
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    assert asyncio.run(socket()) == 401


# -- what browsers are tricked into


def test_headers_leave_nothing_to_others(house: House, browser: httpx.Client) -> None:
    for path in ("/login", "/js/app.js", "/api/v1/values", "/health", "/nothing"):
        headers = browser.get(path).headers
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert re.fullmatch(r"'self'( 'sha256-[\w+/=]{44}')*", policy["script-src"])
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in headers


def test_files_are_known_by_their_content(browser: httpx.Client) -> None:
    first = browser.get("/js/app.js")
    assert first.headers["content-type"].startswith("text/javascript")
    again = browser.get("/js/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "127.0.0.1@evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_other_pages_and_other_names_are_refused(
    ada: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = ada.post("/api/v1/commands", json={}, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_other_sites_load_nothing(ada: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert ada.get("/api/v1/values", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
        ({"Origin": "OWN"}, 101),
    ],
)
def test_a_cookie_opens_the_socket_to_our_own_page_alone(
    house: House, browser: httpx.Client, headers: dict[str, str], status: int
) -> None:
    browser.post("/login", json={"name": "lin", "password": PASSWORD})
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    shown = {k: house.url if v == "OWN" else v for k, v in headers.items()}

    async def knock() -> int:
        url = f"{house.url.replace('http', 'ws')}/sync"
        try:
            async with websockets.connect(
                url,
                subprotocols=[websockets.Subprotocol(PROTOCOL)],
                additional_headers={"Cookie": cookie, **shown},
                open_timeout=WAIT,
            ):
                return 101
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    assert asyncio.run(knock()) == status


# -- the owner alone, and TLS


def test_without_people_the_owner_comes_in_by_a_word_that_is_good_once(tmp_path: Path) -> None:
    house = House(tmp_path, people=False)
    try:
        web = house.web()
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": house.url}
        with httpx.Client(base_url=house.url, headers=headers, timeout=WAIT) as browser:
            assert browser.get("/api/v1/values").status_code == 401
            page = browser.get(web["login"])
            word = web["login"].partition("token=")[2]
            assert f'value="{word}"' in page.text
            assert browser.get("/api/v1/values").status_code == 401  # looking uses nothing up
            assert browser.post("/login", data={"token": word}).status_code == 303
            assert browser.get("/api/v1/values").status_code == 200
            browser.cookies.clear()
            assert browser.post("/login", data={"token": word}).status_code == 401
            assert browser.post("/login", data={"token": ""}).status_code == 401
            name = {"name": "ada", "password": PASSWORD}
            assert browser.post("/login", data=name).status_code == 401

        async def scenario() -> None:
            async with house.viewer(secret=web["token"], subscribe={}) as viewer:
                await viewer.until(lambda: viewer.frames)
                assert {r for g in (await viewer.message("welcome"))["rights"] for r in g["rights"]}
                await asyncio.to_thread(house.close)
                assert (await viewer.message("bye"))["why"] == "going down"

        asyncio.run(scenario())
        log = house.log()
        assert "Traceback" not in log
        assert web["token"] not in log
        assert word not in log
    finally:
        house.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of our own for localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def test_tls_is_spoken_by_its_newer_versions(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    files = {"certificate": certificate[0], "key": certificate[1]}
    house = House(tmp_path, host="localhost", **files)
    try:
        trust = ssl.create_default_context(cafile=str(certificate[0]))
        with house.http(verify=trust) as ada:
            answer = ada.get("/api/v1/values")
            assert answer.status_code == 200
            assert "max-age" in answer.headers["strict-transport-security"]
            entered = ada.post("/login", json={"name": "ada", "password": PASSWORD})
            cookie = entered.headers["set-cookie"]
            assert cookie.startswith("__Host-stagetwin_")
            assert "Secure" in cookie

        async def scenario() -> None:
            async with house.viewer(subscribe={}, ssl=trust) as viewer:
                await viewer.until(lambda: viewer.frames)

        asyncio.run(scenario())
        old = ssl.create_default_context(cafile=str(certificate[0]))
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with house.http(verify=old) as ada, pytest.raises(httpx.ConnectError):
            ada.get("/health")
    finally:
        house.close()


# -- the command line


def ask_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stagetwin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)


def test_the_command_line_says_how_to_come_in(house: House) -> None:
    done = ask_cli("open", str(house.stage), "--socket", str(house.socket))
    assert (done.returncode, done.stdout) == (0, f"{house.url}/login\n")
    done = ask_cli("open", str(house.stage), "--socket", str(house.socket), "--json")
    assert json.loads(done.stdout) == {"url": house.url, "login": f"{house.url}/login", "token": ""}


def test_the_command_line_lets_no_strangers_in(house: House, tmp_path: Path) -> None:
    where = ("--socket", str(tmp_path / "s.sock"), "--state-dir", str(tmp_path / "state"))
    done = ask_cli("run", str(house.stage), "--listen", "0.0.0.0:0", *where)
    assert done.returncode == 2
    assert "needs a certificate (--certificate, --key) and people (--people)" in done.stderr
    done = ask_cli("run", str(house.stage), "--key", "key.pem", *where)
    assert done.returncode == 2
    assert "--listen" in done.stderr
