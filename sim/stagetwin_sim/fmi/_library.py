"""Shared libraries of FMUs, each loaded once, and what is called in them.

The names are those of FMI 2.0.4, chapters 2 and 4, and of FMI 3.0.1, chapters 2 and 4.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from ctypes import POINTER, byref, c_bool, c_double, c_int, c_size_t, c_uint32, c_void_p
from dataclasses import replace
from typing import Any, Protocol

from fmpy.fmi1 import FMICallException
from fmpy.fmi2 import FMU2Slave
from fmpy.fmi3 import FMU3Slave, fmi3IntermediateUpdateCallback

from stagetwin_sim._errors import FmuError
from stagetwin_sim.fmi._archive import unpacked
from stagetwin_sim.fmi._fmu import Fmu, Variable
from stagetwin_sim.fmi._messages import Speaker, callbacks2, logger3

__all__ = ["Library", "Library2", "Library3", "open_library"]

Call = tuple[Any, tuple[Any, ...]]
"""A C function and its arguments, made once."""


class Library(Protocol):
    """The functions of one FMU, for all its instances.

    Attributes:
        fmu: whose they are.
        corrupt: why nothing of it may be called any more, or empty.
        live: instances that there are.
    """

    fmu: Fmu
    corrupt: str
    live: int

    def instantiate(self, speaker: Speaker, events: bool) -> tuple[int, Any]:
        """Return a new instance, and what must live as long as it."""
        ...

    def setter(self, instance: int, kind: str, references: Any, values: int, count: int) -> Call:
        """Return the call that sets variables of one type from memory."""
        ...

    def getter(self, instance: int, kind: str, references: Any, values: int, count: int) -> Call:
        """Return the call that gets variables of one type into memory."""
        ...

    def enter_initialization(self, instance: int) -> None:
        """Enter initialization mode."""
        ...

    def exit_initialization(self, instance: int) -> None:
        """Leave initialization mode; the instance is ready to step."""
        ...

    def state(self, instance: int) -> bytes:
        """Return the serialised state."""
        ...

    def set_state(self, instance: int, state: bytes) -> None:
        """Put a serialised state back."""
        ...

    def free(self, instance: int) -> None:
        """Free an instance."""
        ...


class _Shared:
    """What both versions have in common."""

    prefix = ""

    def __init__(self, fmu: Fmu, slave: Any) -> None:
        self.fmu = fmu
        self.corrupt = ""
        self.live = 0
        self.slave = slave
        self._accessors: dict[str, Any] = {}

    def _function(self, name: str, argtypes: tuple[Any, ...]) -> Any:
        if name not in self._accessors:
            function = self.slave.dll[name]  # of its own, where fmpy's checks every call
            function.argtypes = argtypes
            function.restype = c_int
            self._accessors[name] = function
        return self._accessors[name]

    def _listen(self, instance: int) -> None:
        """Ask for messages of what goes wrong, and for no others: some FMUs tell of every call."""
        wanted = [name.encode() for name in self.fmu.categories]
        listed = (ctypes.c_char_p * len(wanted))(*wanted)
        set_logging = getattr(self.slave, f"{self.prefix}SetDebugLogging")
        with contextlib.suppress(FMICallException):  # its messages are no condition for running
            set_logging(instance, bool(wanted), len(wanted), listed)

    def _saved(self, instance: int, names: tuple[str, ...]) -> bytes:
        get, size_of, serialize, free = (getattr(self.slave, self.prefix + n) for n in names)
        state, size = c_void_p(), c_size_t()
        get(instance, byref(state))
        try:
            size_of(instance, state, byref(size))
            data = ctypes.create_string_buffer(max(size.value, 1))
            pointer = ctypes.cast(data, serialize_type(self.prefix))
            serialize(instance, state, pointer, size.value)
        finally:
            free(instance, byref(state))
        return data.raw[: size.value]

    def _put(self, instance: int, saved: bytes, names: tuple[str, ...]) -> None:
        deserialize, put, free = (getattr(self.slave, self.prefix + n) for n in names)
        state = c_void_p()
        data = ctypes.create_string_buffer(saved, max(len(saved), 1))
        pointer = ctypes.cast(data, serialize_type(self.prefix))
        deserialize(instance, pointer, len(saved), byref(state))
        try:
            put(instance, state)
        finally:
            free(instance, byref(state))


def serialize_type(prefix: str) -> Any:
    """Return the C type of serialised states."""
    return POINTER(ctypes.c_char if prefix == "fmi2" else ctypes.c_uint8)


class Library2(_Shared):
    """FMI 2.0."""

    prefix = "fmi2"

    def __init__(self, fmu: Fmu) -> None:
        super().__init__(fmu, FMU2Slave(**_arguments(fmu)))
        step = (c_void_p, c_double, c_double, c_int)
        self.do_step = self._function("fmi2DoStep", step)

    def instantiate(self, speaker: Speaker, events: bool) -> tuple[int, Any]:
        """See Library."""
        callbacks = callbacks2(speaker)
        resources = (self.fmu.folder / "resources").as_uri()
        instance = self.slave.fmi2Instantiate(
            speaker.place.encode(),
            1,  # co-simulation
            self.fmu.token.encode(),
            resources.encode(),
            byref(callbacks),
            0,
            bool(self.fmu.categories),
        )
        if not instance:
            raise FmuError(f"{speaker.place}: the FMU gave no instance{_why(speaker)}")
        self._listen(instance)
        start, tolerance = self.fmu.start_time, self.fmu.tolerance
        self.slave.fmi2SetupExperiment(
            instance, tolerance is not None, tolerance or 0.0, start, 0, 0.0
        )
        return int(instance), callbacks

    def enter_initialization(self, instance: int) -> None:
        """See Library."""
        self.slave.fmi2EnterInitializationMode(instance)

    def exit_initialization(self, instance: int) -> None:
        """See Library."""
        self.slave.fmi2ExitInitializationMode(instance)

    def setter(self, instance: int, kind: str, references: Any, values: int, count: int) -> Call:
        """See Library."""
        return self._call("fmi2Set", instance, kind, references, values, count)

    def getter(self, instance: int, kind: str, references: Any, values: int, count: int) -> Call:
        """See Library."""
        return self._call("fmi2Get", instance, kind, references, values, count)

    def _call(self, verb: str, instance: int, kind: str, refs: Any, values: int, n: int) -> Call:
        name = verb + ("Integer" if kind == "Enumeration" else kind)
        function = self._function(name, (c_void_p, c_void_p, c_size_t, c_void_p))
        return function, (instance, refs, n, values)

    def done_until(self, instance: int) -> tuple[float, bool]:
        """Return how far a discarded step came [s], and whether the FMU wants to end."""
        time, end = c_double(), c_int()
        self.slave.fmi2GetBooleanStatus(instance, 3, byref(end))
        self.slave.fmi2GetRealStatus(instance, 2, byref(time))
        return time.value, bool(end.value)

    def state(self, instance: int) -> bytes:
        """See Library."""
        names = ("GetFMUstate", "SerializedFMUstateSize", "SerializeFMUstate", "FreeFMUstate")
        return self._saved(instance, names)

    def set_state(self, instance: int, state: bytes) -> None:
        """See Library."""
        self._put(instance, state, ("DeSerializeFMUstate", "SetFMUstate", "FreeFMUstate"))

    def free(self, instance: int) -> None:
        """See Library."""
        self.slave.fmi2FreeInstance(instance)


class Library3(_Shared):
    """FMI 3.0."""

    prefix = "fmi3"

    def __init__(self, fmu: Fmu) -> None:
        super().__init__(fmu, FMU3Slave(**_arguments(fmu)))
        flags = (c_void_p,) * 4
        self.do_step = self._function("fmi3DoStep", (c_void_p, c_double, c_double, c_bool, *flags))
        self._no_update = fmi3IntermediateUpdateCallback()

    def instantiate(self, speaker: Speaker, events: bool) -> tuple[int, Any]:
        """See Library."""
        resources = str(self.fmu.folder / "resources") + os.sep
        instance = self.slave.fmi3InstantiateCoSimulation(
            speaker.place.encode(),
            self.fmu.token.encode(),
            resources.encode(),
            False,
            bool(self.fmu.categories),
            events,
            events,
            (c_uint32 * 0)(),
            0,
            speaker.key,
            logger3,
            self._no_update,
        )
        if not instance:
            raise FmuError(f"{speaker.place}: the FMU gave no instance{_why(speaker)}")
        self._listen(instance)
        return int(instance), None

    def enter_initialization(self, instance: int) -> None:
        """See Library."""
        tolerance = self.fmu.tolerance
        self.slave.fmi3EnterInitializationMode(
            instance, tolerance is not None, tolerance or 0.0, self.fmu.start_time, False, 0.0
        )

    def exit_initialization(self, instance: int) -> None:
        """See Library."""
        self.slave.fmi3ExitInitializationMode(instance)

    def setter(self, instance: int, kind: str, references: Any, values: int, count: int) -> Call:
        """See Library."""
        return self._call("fmi3Set", instance, kind, references, values, count)

    def getter(self, instance: int, kind: str, references: Any, values: int, count: int) -> Call:
        """See Library."""
        return self._call("fmi3Get", instance, kind, references, values, count)

    def _call(self, verb: str, instance: int, kind: str, refs: Any, values: int, n: int) -> Call:
        name = verb + ("Int64" if kind == "Enumeration" else kind)
        function = self._function(name, (c_void_p, c_void_p, c_size_t, c_void_p, c_size_t))
        return function, (instance, refs, n, values, n)

    def settle(self, instance: int) -> bool:
        """Handle events until there are none left, and go on to step mode.

        Returns:
            Whether the FMU wants to end.

        Raises:
            FmuError: the events find no end.
        """
        needed, end, nominals, values, timed = (c_bool() for _ in range(5))
        time = c_double()
        for _ in range(100):
            self.slave.fmi3UpdateDiscreteStates(
                instance,
                byref(needed),
                byref(end),
                byref(nominals),
                byref(values),
                byref(timed),
                byref(time),
            )
            if end.value:
                return True
            if not needed.value:
                self.slave.fmi3EnterStepMode(instance)
                return False
        raise FmuError("events found no end in 100 rounds")

    def enter_events(self, instance: int) -> None:
        """Enter event mode."""
        self.slave.fmi3EnterEventMode(instance)

    def state(self, instance: int) -> bytes:
        """See Library."""
        names = ("GetFMUState", "SerializedFMUStateSize", "SerializeFMUState", "FreeFMUState")
        return self._saved(instance, names)

    def set_state(self, instance: int, state: bytes) -> None:
        """See Library."""
        self._put(instance, state, ("DeserializeFMUState", "SetFMUState", "FreeFMUState"))

    def free(self, instance: int) -> None:
        """See Library."""
        self.slave.fmi3FreeInstance(instance)


_open: dict[str, Library2 | Library3] = {}


def open_library(fmu: Fmu) -> Library2 | Library3:
    """Return the library of an FMU; one that became corrupt is loaded anew, from another file.

    Raises:
        FmuError: it cannot be loaded.
    """
    found = _open.get(fmu.digest)
    if found is not None and not found.corrupt:
        return found
    if found is not None:  # the loader knows a library by its path
        fmu = replace(fmu, folder=unpacked(fmu.path))
    here = os.getcwd()
    try:
        made = Library2(fmu) if fmu.version == 2 else Library3(fmu)
    except Exception as error:  # fmpy raises bare Exceptions
        raise FmuError(f"{fmu.path}: its library cannot be loaded: {error}") from None
    finally:
        os.chdir(here)
    _open[fmu.digest] = made
    return made


def live_instances(fmu: Fmu) -> int:
    """Return how many instances of an FMU there are in this process."""
    found = _open.get(fmu.digest)
    return found.live if found is not None and not found.corrupt else 0


def references(variables: tuple[Variable, ...]) -> Any:
    """Return value references as a C array."""
    return (c_uint32 * len(variables))(*(v.reference for v in variables))


@contextlib.contextmanager
def tidy_path() -> Any:
    """Keep FMUs that are Python from adding their folder to the path once for each instance."""
    before = len(sys.path)
    yield
    if len(sys.path) > before:
        sys.path[:] = dict.fromkeys(sys.path)


def failure(error: Exception, speaker: Speaker) -> str:
    """Return what a refused call means, in one line."""
    if isinstance(error, FMICallException):
        words = {2: "discard", 3: "error", 4: "fatal"}
        return f"{error.function} gave {words.get(error.status, error.status)}{_why(speaker)}"
    return str(error)


def _why(speaker: Speaker) -> str:
    return f": {speaker.last}" if speaker.last else ""


def _arguments(fmu: Fmu) -> dict[str, Any]:
    return {
        "guid": fmu.token,
        "modelIdentifier": fmu.identifier,
        "unzipDirectory": str(fmu.folder),
    }
