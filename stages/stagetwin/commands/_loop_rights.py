"""What a loop rests on: commands that are here, people who may, guards that are approved."""

from __future__ import annotations

from collections.abc import Mapping

from stagetwin._errors import CommandError
from stagetwin.bindings import Asset
from stagetwin.commands._loop import Loop
from stagetwin.commands._targets import Targets
from stagetwin.commands._way_out import guarded_table
from stagetwin.people import Access, Right
from stagetwin.twin import Twin

__all__ = ["LoopRights"]


class LoopRights:
    """Judges sessions by the plant's guards and the people of the present.

    Args:
        twin: whose guards count.
        targets: what can be commanded.
        access: says who may what.
    """

    def __init__(self, twin: Twin, targets: Targets, access: Access) -> None:
        self._twin, self._targets, self._access = twin, targets, access

    def assets(self, loop: Loop, *, strict: bool = True) -> dict[str, Asset]:
        """Return the asset of each command of an envelope.

        Raises:
            CommandError: one is not here, and `strict` is true; else it is left out.
        """
        table, found = guarded_table(self._twin), dict[str, Asset]()
        for one in loop.envelope.commands:
            target = self._targets.get(one.target)
            asset = None if target is None else table.assets.get(target.binding.asset)
            if asset is not None:
                found[one.target] = asset
            elif strict:
                raise CommandError(f"no command {one.target!r:.80} runs here")
        return found

    def approve(self, loop: Loop, user: str) -> dict[str, str]:
        """Return the guards under which a user approves a loop, by asset.

        Raises:
            CommandError: they may not, its author may not command, or an asset is no twin.
        """
        name = loop.session.id
        if self._access.same_person(user, loop.user):
            raise CommandError(f"{user} began session {name}; somebody else must approve")
        assets = self.assets(loop)
        if not assets:
            raise CommandError(f"session {name} has an envelope without a command")
        guards = self._guards(assets)
        for target, asset in assets.items():
            if not self.may(loop.user, Right.COMMAND, asset):
                raise CommandError(f"{loop.user} holds no role that may command {target}")
            if not self.may(user, Right.APPROVE, asset):
                raise CommandError(f"{user} holds no role that may approve at {asset.prim}")
            if asset.prim not in guards:
                raise CommandError(f"{target}: {asset.prim} runs as shadow")
        return guards

    def lapse(self, loop: Loop) -> str:
        """Return what a loop rests on and holds no more; empty for nothing."""
        try:
            assets = self.assets(loop)
        except CommandError as error:
            return str(error)
        if self._guards(assets) != loop.guards:
            return "the guards of what it commands changed"
        for asset in assets.values():
            if not self.may(loop.approver, Right.APPROVE, asset):
                return f"{loop.approver} may no more approve at {asset.prim}"
            if not self.may(loop.user, Right.COMMAND, asset):
                return f"{loop.user} may no more command {asset.prim}"
        return ""

    def may_end(self, loop: Loop, user: str) -> bool:
        """Tell whether a user may give, approve or halt anything of a loop."""
        rights = (Right.COMMAND, Right.APPROVE, Right.HALT)
        assets = self.assets(loop, strict=False).values()
        return any(self.may(user, right, asset) for asset in assets for right in rights)

    def may(self, user: str, right: Right, asset: Asset) -> bool:
        """Tell whether somebody has a right at an asset."""
        return self._access.allows(user, right, asset.prim, asset.roles)

    def _guards(self, assets: Mapping[str, Asset]) -> dict[str, str]:
        approved = self._twin.approved
        return {a.prim: approved[a.prim] for a in assets.values() if a.prim in approved}
