"""Articulations for joints that the stage gives none.

A stage may connect bodies by joints and name no articulation's root; newton's solvers would leave
such bodies where they are.
"""

from __future__ import annotations

from typing import Any

import newton

from stagetwin_sim._errors import BodiesError

__all__ = ["articulate"]


def articulate(builder: Any, root: str) -> None:
    """Put joints into articulations that are in none.

    Args:
        builder: of one world; changed.
        root: path of the scene's prim, for errors.

    Raises:
        BodiesError: they lie in an order in which they cannot be one.
    """
    owner = {
        int(builder.joint_child[j]): int(a)
        for j, a in enumerate(builder.joint_articulation)
        if a >= 0
    }
    trees: dict[int, list[int]] = {}
    tree_of: dict[int, int] = {}
    for joint, articulation in enumerate(builder.joint_articulation):
        child = int(builder.joint_child[joint])
        if articulation >= 0 or child in owner or child in tree_of:
            continue  # the last two close a loop
        parent = int(builder.joint_parent[joint])
        if parent in owner:
            raise _unordered(builder, joint, root)
        tree = tree_of.get(parent, joint)
        tree_of[child] = tree
        trees.setdefault(tree, []).append(joint)
    for joints in trees.values():
        parents = {int(builder.joint_parent[j]) for j in joints[1:]}
        children = {int(builder.joint_child[j]) for j in joints}
        if joints != list(range(joints[0], joints[0] + len(joints))) or not parents <= children:
            raise _unordered(builder, joints[0], root)
        builder.add_articulation(joints, label=builder.joint_label[joints[0]])
    if trees:
        _sort(builder)


def _sort(builder: Any) -> None:
    """Bring articulations into the order of their joints, as newton wants them."""
    order = sorted(
        range(len(builder.articulation_start)), key=builder.articulation_start.__getitem__
    )
    for name in ("start", "end", "label", "world"):
        values = getattr(builder, f"articulation_{name}")
        setattr(builder, f"articulation_{name}", [values[i] for i in order])
    place = {old: new for new, old in enumerate(order)}
    builder.joint_articulation = [place.get(a, a) for a in builder.joint_articulation]
    for attribute in builder.custom_attributes.values():
        whose = attribute.frequency == newton.Model.AttributeFrequency.ARTICULATION
        if whose and isinstance(attribute.values, dict):
            attribute.values = {place[i]: value for i, value in attribute.values.items()}


def _unordered(builder: Any, joint: int, root: str) -> BodiesError:
    return BodiesError(
        f"{builder.joint_label[joint]}: the machine below {root} that it belongs to needs "
        "PhysicsArticulationRootAPI on its root"
    )
