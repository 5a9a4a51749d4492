"""Vehicles that a policy drives, by the name `policy`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._bodies import PolicyBodies
from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._keys import load_trusted

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["make_policy_bodies"]

Floats = npt.NDArray[np.float64]

_OPTIONS: dict[str, Any] = {
    "bundle": (str, Path, Bundle),
    "trust": Sequence,
    "untrusted": bool,
    "noise": Mapping,
    "field": bool,
    "device": str,
    "lidar_noise": (int, float),
    "lidar_dropout": (int, float),
}


def make_policy_bodies(
    types: Sequence[VehicleType],
    poses: Floats,
    road_map: RoadMap | None,
    *,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> PolicyBodies:
    """Make vehicles that a policy drives: `policy` in the entry points `stagetwin.fleets`.

    Args:
        types: one for all, or one each.
        poses: where they stand, shape (count, 3).
        road_map: for its obstacles.
        seed: of noise, slip and lidar.
        options: `bundle`: a file, or a `Bundle`; `trust`: files or folders of public keys;
            `untrusted`: true for a bundle that nobody signed; and `noise`, `field`, `lidar_noise`,
            `lidar_dropout`, `device` as PolicyBodies has them.

    Raises:
        BundleError: the file is damaged, or signed by none of the keys.
        PolicyError: an option that is not known, or a policy that cannot drive.
        FleetError: a pose or a figure cannot be.
    """
    given = dict(options or {})
    if unknown := sorted(set(given) - set(_OPTIONS)):
        raise PolicyError(f"options are {', '.join(_OPTIONS)}, got {', '.join(unknown)}")
    from stagetwin_sim.fleet import Noise

    for name, value in given.items():
        if not isinstance(value, _OPTIONS[name] if name != "noise" else (Mapping, Noise)):
            raise PolicyError(f"option {name}: {value!r} is of a wrong type")
    if isinstance(noise := given.get("noise"), Mapping):
        known = [one.name for one in dataclasses.fields(Noise)]
        if wrong := sorted(set(noise) - set(known)):
            raise PolicyError(f"option noise: has {', '.join(known)}, got {', '.join(wrong)}")
        given["noise"] = Noise(**noise)
    bundle, untrusted = given.pop("bundle", None), given.pop("untrusted", False)
    trust = given.pop("trust", ())
    if isinstance(bundle, (str, Path)):
        bundle = Bundle.read(bundle, load_trusted(trust), unsigned=untrusted)
    if not isinstance(bundle, Bundle):
        raise PolicyError(f"option bundle: a file of a policy, got {bundle!r}")
    return PolicyBodies(bundle, types, poses, road_map, untrusted=untrusted, seed=seed, **given)
