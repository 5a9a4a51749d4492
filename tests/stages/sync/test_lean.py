"""What the client side stands on: no more than Python, numpy, pxr and websockets."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAN = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused}:
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Refuse())
{body}
print("fine")
"""
SHELL = """
from pxr import Usd
import stagetwin.drafts
from stagetwin.reviews._prims import author_topic
from stagetwin.sync import LiveSession, Mirror, SyncClient
session = LiveSession(Usd.Stage.CreateInMemory(), "http://127.0.0.1:9")
summary = session.tick()
assert summary.state in ("connecting", "lost"), summary
session.close()
"""
GATEWAY = """
from stagetwin.sync import Board
board = Board()
board.table([])
assert board.encoded(board.select(), 0)
assert "pxr.Usd" not in sys.modules and "pxr.Sdf" not in sys.modules
"""
HEAVY = "('msgspec', 'pydantic', 'typer', 'starlette', 'uvicorn', 'rich', 'prometheus_client')"
NO_STAGE = "('msgspec', 'pydantic', 'websockets')"


@pytest.mark.parametrize(("body", "refused"), [(SHELL, HEAVY), (GATEWAY, NO_STAGE)])
def test_it_runs_where_there_is_little(body: str, refused: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAN.format(refused=refused, body=body)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("fine", 0), done.stderr


def test_a_client_without_its_library_says_what_is_missing() -> None:
    body = """
from stagetwin import ServiceError
from stagetwin.sync import SyncClient
sys.modules.pop("websockets", None)
try:
    SyncClient("http://127.0.0.1:9")
except ServiceError as error:
    assert "websockets" in str(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", LEAN.format(refused="('websockets',)", body=body)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("fine", 0), done.stderr
