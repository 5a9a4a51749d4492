"""The log: whoever reads it and stops must not stop the service."""

from __future__ import annotations

import json
import subprocess
import sys

WRITE = """
import logging
from stagetwin.host import configure_logging
configure_logging({style!r}, "info")
log = logging.getLogger("plant")
for number in range({lines}):
    log.info("line %d %s", number, "x" * 100)
print("all said", flush=True)
"""


def writing(style: str, lines: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITE.format(style=style, lines=lines)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_log_that_nobody_reads_holds_nothing_up() -> None:
    process = writing("text", 20_000)
    assert process.stdout is not None
    # The pipe of the log holds a few hundred lines.
    assert process.stdout.readline() == "all said\n"
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "line 0 " in log


def test_a_log_that_is_read_has_every_line_in_order() -> None:
    _, log = writing("json", 2_000).communicate(timeout=30)
    entries = [json.loads(line) for line in log.splitlines()]
    assert [entry["message"].split()[1] for entry in entries] == [str(n) for n in range(2_000)]
    assert {entry["level"] for entry in entries} == {"info"}


FORGE = """
import logging
from stagetwin.host import configure_logging
configure_logging("text", "info")
log = logging.getLogger("plant")
log.info("said: %s", "x\\n12:00:00 INFO    all is well\\x1b[2J\\r\\x9b\\u2028")
try:
    raise RuntimeError("y\\n12:00:00 INFO    all is well\\x1b[2J")
except RuntimeError:
    log.exception("failed")
"""


def test_what_is_said_makes_no_line_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORGE], capture_output=True, check=True)
    log = done.stderr.decode()
    lines = log.split("\n")
    events = [line for line in lines if line and not line.startswith(" ")]
    assert [event.split(maxsplit=2)[1:] for event in events] == [
        ["INFO", r"said: x\n12:00:00 INFO    all is well\x1b[2J\r\x9b\u2028"],
        ["ERROR", "failed"],
    ]
    assert "    12:00:00 INFO    all is well\\x1b[2J" in lines
    assert all(sign.isprintable() or sign == "\n" for sign in log)
