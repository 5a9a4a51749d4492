"""People and programs: accounts, tokens, roles, and the one check that every access passes."""

from stagetwin.people._access import Access
from stagetwin.people._accounts import Accounts
from stagetwin.people._edits import add_token, create_policy, edit_policy
from stagetwin.people._file import PolicyFile, load_document
from stagetwin.people._passwords import Passwords
from stagetwin.people._policy import PolicyDocument
from stagetwin.people._rights import Principal, Right
from stagetwin.people._sessions import Kept, Sessions

__all__ = [
    "Access",
    "Accounts",
    "Kept",
    "Passwords",
    "PolicyDocument",
    "PolicyFile",
    "Principal",
    "Right",
    "Sessions",
    "add_token",
    "create_policy",
    "edit_policy",
    "load_document",
]
