"""A service that is killed the moment a command enters a state. Its argument is JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

from stagetwin.commands import Command
from stagetwin.service import Service, ServiceConfig, load_credentials


def main() -> None:
    given = json.loads(sys.argv[1])
    wanted = given.pop("state")
    credentials = load_credentials(Path(given.pop("credentials")))
    config = ServiceConfig.model_validate(
        {**given, "credentials": credentials, "allow_commands": True}
    )

    def kill(command: Command) -> None:
        if command.state == wanted:
            # The ledger's own thread may still write what was entered; then all ends at once.
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)

    async def run() -> None:
        service = Service(config)
        task = asyncio.create_task(service.run())
        await service.ready.wait()
        assert service.desk is not None
        service.desk.path.records.on_entered.append(kill)
        await task

    asyncio.run(run())


if __name__ == "__main__":
    main()
