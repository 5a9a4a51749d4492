"""The adviser's process: reads the plant, runs the policy, and goes from stage to stage."""

from __future__ import annotations

import time
from collections.abc import Callable

from stagetwin import StagetwinError
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._advisor import Advisor, Stage
from stagetwin_sim.policies._approval import Approval
from stagetwin_sim.policies._desk import ServiceDesk
from stagetwin_sim.policies._signals import SignalSource

__all__ = ["FIRST", "run_adviser"]

FIRST = 10
"""Sound decisions as a shadow before it advises, and as an adviser before a loop may begin."""

_BEAT = 1.0
"""How often the service hears of an adviser, however slow its policy is [s]."""

_ORDER = (Stage.SHADOW, Stage.ADVISORY, Stage.LOOP)


def run_adviser(
    advisor: Advisor,
    source: SignalSource,
    desk: ServiceDesk,
    ended: Callable[[], bool],
    *,
    highest: Stage = Stage.SHADOW,
    first: int = FIRST,
    say: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Advise until told to end; then close the session.

    It begins as a shadow, advises after `first` sound decisions if it may, and closes the loop when
    somebody has approved that, not before as many more. After a loop it is an adviser again.

    Args:
        advisor: with `desk` as its desk.
        source: of what the policy sees.
        desk: at the service.
        ended: asked now and then.
        highest: the most that it may do.
        first: sound decisions at a stage before the next.
        say: told what goes wrong beside the advisor's own record.
        clock: the runner's [s].
        sleep: waits [s].

    Raises:
        PolicyError: a signal does not fit the policy.
    """
    sound, told = 0, ""
    tried: Approval | None = None
    period = min(advisor.runner.spec.period, _BEAT)
    before = advisor.stage
    try:
        while not ended():
            began = clock()
            action = advisor.step(source.read(began))
            if action is not None:
                sound = 0 if action.fallback else sound + 1
            if source.fault != told and (told := source.fault):
                say(f"nothing can be read: {told}")
            if advisor.stage is not before:
                before, sound = advisor.stage, 0
            ready = sound >= first and _ORDER.index(highest) > _ORDER.index(advisor.stage)
            desk.ready = ready
            try:
                if ready and advisor.stage is Stage.SHADOW:
                    advisor.advise()
                elif advisor.stage is Stage.ADVISORY and desk.approval not in (None, tried):
                    tried = desk.approval
                    if highest is not Stage.LOOP:
                        raise PolicyError(f"the most that it may do is {highest}")
                    advisor.close_loop(tried)
            except StagetwinError as error:
                say(str(error))
                desk.end(f"the adviser refused: {error}")
                sound = 0
            sleep(max(0.0, began + period - clock()))
    finally:
        advisor.close()
        desk.close()
