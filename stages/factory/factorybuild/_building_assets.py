"""Things that stand around: rollers, cartons, columns, racks, trees. Pure decoration."""

from collections.abc import Callable
from pathlib import Path

from pxr import Kind

from ._shapes import Shapes, chamfered, new_stage


def _roller(s: Shapes) -> None:
    s.cylinder("Tube", 0.035, 0.76, (0, 0, 0), "Chrome", "Y")
    s.cylinder("Axle", 0.012, 0.82, (0, 0, 0), "SteelDark", "Y")


def _carton(s: Shapes) -> None:
    s.box("Box", (0.46, 0.42, 0.36), (0, 0, 0.18), "Cardboard")
    s.box("Tape", (0.464, 0.06, 0.364), (0, 0, 0.181), "CardboardTape")
    s.box("Label", (0.004, 0.16, 0.1), (0.231, 0.08, 0.2), "White")
    s.box("LabelSide", (0.16, 0.004, 0.1), (0.08, -0.211, 0.2), "White")


def _tote(s: Shapes) -> None:
    s.prism("Bin", chamfered(0.44, 0.54, 0.03), 0.26, (0, 0, 0), "Tote")
    s.prism("Rim", chamfered(0.47, 0.57, 0.03), 0.03, (0, 0, 0.25), "Tote")
    s.prism("Parts", chamfered(0.38, 0.48, 0.03), 0.004, (0, 0, 0.281), "Aluminium")
    for index in range(6):
        at = (-0.12 + 0.12 * (index % 3), -0.12 + 0.24 * (index // 3), 0.3)
        s.sphere(f"Part{index}", 0.07, at, "Aluminium", (1, 1, 0.5))


def _pallet(s: Shapes) -> None:
    for index in range(5):
        s.box(f"Deck{index}", (1.2, 0.13, 0.022), (0, -0.335 + 0.1675 * index, 0.133), "Wood")
    for index in range(9):
        at = (-0.53 + 0.53 * (index % 3), -0.33 + 0.33 * (index // 3), 0.061)
        s.box(f"Block{index}", (0.14, 0.1, 0.122), at, "Wood")


def _pallet_stack(s: Shapes) -> None:
    s.reference("Pallet", "./pallet.usda", (0, 0, 0), kind="subcomponent")
    for index in range(10):
        layer, cell = divmod(index, 4)
        at = (-0.24 + 0.48 * (cell % 2), -0.22 + 0.44 * (cell // 2), 0.145 + 0.365 * layer)
        s.reference(f"Carton{index}", "./carton.usda", at, kind="subcomponent")


def _column(s: Shapes) -> None:
    s.box("Foot", (0.5, 0.5, 0.03), (0, 0, 0.015), "SteelDark")
    s.box("Web", (0.26, 0.03, 7.0), (0, 0, 3.5), "Girder")
    for side, x in (("Left", 0.14), ("Right", -0.14)):
        s.box(f"Flange{side}", (0.03, 0.3, 7.0), (x, 0, 3.5), "Girder")
    for index, look in enumerate(("LineYellow", "Black", "LineYellow")):
        s.box(f"Guard{index}", (0.34, 0.34, 0.3), (0, 0, 0.18 + 0.3 * index), look)


def _rack(s: Shapes) -> None:
    for x in (-1.45, 0.0, 1.45):
        for y in (-0.5, 0.5):
            tag = f"{round(x * 2) + 3}{'F' if y < 0 else 'B'}"
            s.box(f"Upright{tag}", (0.09, 0.09, 4.6), (x, y, 2.3), "PipeBlue")
    for level, z in enumerate((1.5, 3.0, 4.4)):
        for y in (-0.5, 0.5):
            name = f"Beam{level}{'F' if y < 0 else 'B'}"
            s.box(name, (2.9, 0.05, 0.12), (0, y, z), "Orange")
    for index, z in enumerate((0.0, 0.0, 1.56, 1.56, 3.06)):
        at = (-0.72 if index % 2 == 0 else 0.72, 0, z)
        s.reference(f"Load{index}", "./pallet_stack.usda", at, kind="subcomponent")


def _tree(s: Shapes) -> None:
    s.cylinder("Trunk", 0.14, 1.8, (0, 0, 0.9), "Bark")
    crown = ((0, 0, 3.2, 1.35), (0.7, 0.3, 2.6, 0.95), (-0.6, 0.5, 2.7, 1.0), (0, -0.7, 2.7, 0.95))
    for index, (x, y, z, radius) in enumerate(crown):
        look = "LeafLight" if index % 2 else "Leaf"
        s.sphere(f"Crown{index}", radius, (x, y, z), look, (1, 1, 0.9))


def _fence(s: Shapes) -> None:
    for side, x in (("Left", -0.98), ("Right", 0.98)):
        s.box(f"Post{side}", (0.06, 0.06, 2.0), (x, 0, 1.0), "Yellow")
    s.box("RailTop", (1.9, 0.04, 0.05), (0, 0, 1.96), "Anthracite")
    s.box("RailLow", (1.9, 0.04, 0.05), (0, 0, 0.2), "Anthracite")
    for index in range(11):
        s.box(
            f"Bar{index:02d}", (0.012, 0.012, 1.74), (-0.85 + 0.17 * index, 0, 1.08), "Anthracite"
        )


def _bollard(s: Shapes) -> None:
    s.cylinder("Post", 0.09, 0.9, (0, 0, 0.45), "LineYellow")
    s.cylinder("Stripe", 0.092, 0.16, (0, 0, 0.6), "Black")


def _filler(s: Shapes) -> None:
    for x in (-0.9, 0.9):
        for y in (-0.75, 0.75):
            tag = f"{'L' if x < 0 else 'R'}{'F' if y < 0 else 'B'}"
            s.box(f"Post{tag}", (0.1, 0.1, 2.0), (x, y, 1.0), "Aluminium")
    s.prism("Head", chamfered(2.0, 1.7, 0.12), 0.55, (0, 0, 1.75), "White")
    s.prism("Band", chamfered(2.01, 1.71, 0.12), 0.1, (0, 0, 1.82), "Teal")
    for side, y in (("Front", -0.78), ("Back", 0.78)):
        s.box(f"Window{side}", (1.7, 0.02, 0.85), (0, y, 1.3), "Glass")
    for index in range(6):
        at = (-0.6 + 0.24 * index, 0, 1.6)
        s.cylinder(f"Nozzle{index}", 0.035, 0.32, at, "Chrome")
    s.cylinder("Bowl", 0.5, 0.3, (0, 0.1, 2.4), "Steel")
    s.frustum("Cap", (0.5, 0.14), 0.14, (0, 0.1, 2.55), "Steel")
    s.box("Panel", (0.4, 0.1, 0.34), (0.55, -0.92, 1.55), "Anthracite")
    s.box("Screen", (0.32, 0.01, 0.24), (0.55, -0.975, 1.57), "Screen")
    _signal_tower(s, (-0.8, -0.65, 2.3))


def _labeller(s: Shapes) -> None:
    for side, y in (("Front", -0.66), ("Back", 0.66)):
        s.prism(f"Stand{side}", chamfered(0.7, 0.26, 0.05), 1.5, (0, y, 0), "OffWhite")
    s.prism("Bridge", chamfered(0.8, 1.62, 0.08), 0.3, (0, 0, 1.5), "White")
    s.prism("Band", chamfered(0.81, 1.63, 0.08), 0.07, (0, 0, 1.6), "Orange")
    s.cylinder("Reel", 0.3, 0.12, (0, -0.86, 1.25), "LineWhite", "Y")
    s.cylinder("ReelHub", 0.09, 0.14, (0, -0.86, 1.25), "Orange", "Y")
    s.box("Screen", (0.3, 0.01, 0.2), (0.1, -0.815, 1.66), "Screen")
    _signal_tower(s, (0.25, 0.6, 1.8))


def _signal_tower(s: Shapes, at: tuple[float, float, float]) -> None:
    s.group("Tower", at)
    s.cylinder("Tower/Mast", 0.02, 0.3, (0, 0, 0.15), "Chrome")
    for index, look in enumerate(("LightGreen", "LightOff", "LightOff")):
        s.cylinder(f"Tower/Lamp{index}", 0.045, 0.09, (0, 0, 0.34 + 0.1 * index), look)


def _pedestal(s: Shapes) -> None:
    s.cylinder("Plate", 0.52, 0.04, (0, 0, 0.02), "SteelDark")
    s.frustum("Body", (0.42, 0.36), 0.34, (0, 0, 0.04), "Anthracite")
    s.cylinder("Top", 0.42, 0.03, (0, 0, 0.385), "SteelDark")


def _controller(s: Shapes) -> None:
    s.prism("Case", chamfered(0.8, 0.6, 0.05), 1.3, (0, 0, 0.1), "OffWhite")
    s.box("Plinth", (0.74, 0.54, 0.1), (0, 0, 0.05), "Anthracite")
    s.box("Vent", (0.5, 0.01, 0.3), (0, -0.305, 0.4), "Anthracite")
    s.box("Screen", (0.3, 0.01, 0.2), (0, -0.305, 1.1), "Screen")


def _silo(s: Shapes) -> None:
    s.frustum("Skirt", (1.9, 1.9), 1.6, (0, 0, 0), "Concrete")
    s.cylinder("Body", 1.85, 9.6, (0, 0, 6.2), "Aluminium")
    for index in range(6):
        s.cylinder(f"Ring{index}", 1.9, 0.12, (0, 0, 1.7 + 1.84 * index), "Steel")
    s.cone("Roof", 1.95, 1.0, (0, 0, 11.5), "Aluminium")
    s.cylinder("Filter", 0.4, 0.9, (0.6, 0, 11.9), "OffWhite")


def _operator(s: Shapes) -> None:
    for side, y in (("Left", 0.1), ("Right", -0.1)):
        s.capsule(f"Leg{side}", 0.08, 0.66, (0, y, 0.43), "PanelDark")
        s.box(f"Shoe{side}", (0.27, 0.1, 0.08), (0.05, y, 0.04), "Black")
        s.capsule(f"Arm{side}", 0.055, 0.5, (0.03, y * 2.7, 1.14), "PanelDark")
    s.capsule("Torso", 0.17, 0.34, (0, 0, 1.16), "Orange")
    s.cylinder("Band", 0.174, 0.06, (0, 0, 1.1), "White")
    s.sphere("Head", 0.115, (0.02, 0, 1.63), "Cardboard", (1, 0.9, 1.1))
    s.sphere("Helmet", 0.135, (0.01, 0, 1.7), "LineYellow", (1.05, 1, 0.75))


def _mast(s: Shapes) -> None:
    s.cylinder("Pole", 0.07, 6.0, (0, 0, 3.0), "SteelDark")
    s.box("Arm", (1.2, 0.08, 0.06), (0.5, 0, 6.0), "SteelDark")
    s.box("Head", (0.6, 0.26, 0.08), (1.0, 0, 5.96), "Anthracite")


DECORATIONS: dict[str, Callable[[Shapes], None]] = {
    "roller": _roller,
    "carton": _carton,
    "tote": _tote,
    "pallet": _pallet,
    "pallet_stack": _pallet_stack,
    "column": _column,
    "rack": _rack,
    "tree": _tree,
    "fence": _fence,
    "bollard": _bollard,
    "filler": _filler,
    "labeller": _labeller,
    "pedestal": _pedestal,
    "controller": _controller,
    "mast": _mast,
    "operator": _operator,
    "silo": _silo,
}


def make_decorations(folder: Path) -> None:
    """All decorations; in an order in which what is referenced exists already."""
    for file, draw in DECORATIONS.items():
        root = "".join(part.title() for part in file.split("_"))
        stage = new_stage(folder / "assets" / f"{file}.usda", root, Kind.Tokens.component)
        draw(Shapes(stage, f"/{root}"))
        stage.Save()
