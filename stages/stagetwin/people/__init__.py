"""People and programs: accounts, tokens, roles, and the one check that every access passes."""

from stagetwin.people._rights import Principal, Right

__all__ = ["Principal", "Right"]
