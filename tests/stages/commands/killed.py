"""A process that kills itself while a command is on its way: `killed.py FOLDER STATE`.

STATE is the state at whose entry it dies, or `between`: the entry of SENT is durable and nothing
was handed over. What is handed over is written to a file first.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from stagetwin.actuation import Fate, Transmission
from stagetwin.commands import Command
from tests.stages.commands.desk import pump, running, speed


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, when: str) -> None:
    desk = running(pump(speed(approval="single", safe="0")), folder)

    def entered(command: Command) -> None:
        (folder / "id").write_text(command.id)
        if str(command.state) == when:
            # What stands before this state is on disk; this entry may or may not be.
            desk.durable()
            die()

    def handed_over(left: Transmission) -> None:
        with (folder / "sent").open("a") as file:
            file.write(left.id + "\n")

    desk.path.records.on_entered.append(entered)
    desk.wire.on_send = handed_over
    if when == "between":
        desk.path._way._transmit = lambda life, why: die()  # type: ignore[method-assign]
    made = desk.publish(1500.0)
    desk.path.approve(made.id, "bob")
    desk.flush()
    desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
    raise SystemExit(f"still alive in {made.state}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
