"""What Kit calls us for, whether it speaks Events 2.0 or the streams before them.

Kit 107 and later dispatch named events (`carb.eventdispatcher`); earlier ones have event streams.
Both return an object that ends the subscription when it is let go; nobody else here knows which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import omni.kit.app
import omni.usd

__all__ = ["Hook", "on_stage_event", "on_update"]

Hook = Any
"""A subscription; let go of it to end it."""


def on_update(callback: Callable[[], None]) -> Hook:
    """Have a function called once a frame, on the thread that owns the stage."""
    event = getattr(omni.kit.app, "GLOBAL_EVENT_UPDATE", None)
    dispatcher = _dispatcher()
    if dispatcher is not None and event is not None:
        return dispatcher.observe_event(
            observer_name="stagetwin.kit:update", event_name=event, on_event=lambda _: callback()
        )
    stream = omni.kit.app.get_app().get_update_event_stream()
    return stream.create_subscription_to_pop(lambda _: callback(), name="stagetwin.kit:update")


def on_stage_event(callbacks: dict[str, Callable[[], None]]) -> list[Hook]:
    """Have functions called at events of the context's stage.

    Args:
        callbacks: by name of `omni.usd.StageEventType`: `OPENED`, `CLOSING`, `SELECTION_CHANGED`.
    """
    context = omni.usd.get_context()
    types = {getattr(omni.usd.StageEventType, name): call for name, call in callbacks.items()}
    dispatcher = _dispatcher()
    if dispatcher is not None and hasattr(context, "stage_event_name"):
        return [
            dispatcher.observe_event(
                observer_name="stagetwin.kit:stage",
                event_name=context.stage_event_name(kind),
                on_event=lambda _, call=call: call(),
            )
            for kind, call in types.items()
        ]
    numbers = {int(kind): call for kind, call in types.items()}

    def popped(event: Any) -> None:
        call = numbers.get(int(event.type))
        if call is not None:
            call()

    stream = context.get_stage_event_stream()
    return [stream.create_subscription_to_pop(popped, name="stagetwin.kit:stage")]


def _dispatcher() -> Any:
    """Return Kit's event dispatcher, None before Kit 107."""
    try:
        import carb.eventdispatcher
    except ImportError:
        return None
    return carb.eventdispatcher.get_eventdispatcher()
