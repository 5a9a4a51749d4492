"""Messages of devices, by the name under which demo and replay know them."""

from __future__ import annotations

from stagetwin_bridges._messages import Message, MessagePlan

__all__ = ["Message", "MessagePlan"]
