"""The command line `stagetwin`."""

from stagetwin.cli._app import (
    add_installed_commands,
    app,
    console,
    errors_as_exit,
    socket_of,
)

__all__ = ["app", "console", "errors_as_exit", "main", "socket_of"]


def main() -> None:
    """Run the command line."""
    # Each module adds its command to `app` on import.
    from stagetwin.cli import (
        _alarms,
        _ask,
        _check,
        _commands,
        _loops,
        _maps,
        _models,
        _open,
        _people,
        _picture,
        _reviews,
        _run,
        _set,
        _watch,
    )

    del _alarms, _ask, _check, _commands, _loops, _maps, _models, _open, _people, _picture, _reviews
    del _run, _set, _watch
    add_installed_commands()
    app()
