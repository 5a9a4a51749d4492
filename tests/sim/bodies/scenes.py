"""Small scenes for tests, in any units and with any up axis."""

from __future__ import annotations

from dataclasses import dataclass

from pxr import Usd

__all__ = ["Scene", "cell", "slope", "stage_of"]

_HEAD = """#usda 1.0
(
    defaultPrim = "Cell"
    metersPerUnit = {metre}
    kilogramsPerUnit = {kilogram}
    upAxis = "{up}"
)
"""


@dataclass
class Scene:
    """Text of a stage; everything is given in SI units with Z up."""

    metre: float = 1.0
    kilogram: float = 1.0
    up: str = "Z"
    gravity: float = 9.81
    text: str = ""

    def point(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        x, y, z = (value / self.metre for value in (x, y, z))
        return (x, y, z) if self.up == "Z" else (x, z, -y)

    def size(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        x, y, z = (value / self.metre for value in (x, y, z))
        return (x, y, z) if self.up == "Z" else (x, z, y)

    def ground(self) -> None:
        self.text += f"""
def Plane "Ground" (prepend apiSchemas = ["PhysicsCollisionAPI"])
{{
    uniform token axis = "{self.up}"
}}
"""

    def box(
        self,
        name: str,
        at: tuple[float, float, float],
        size: tuple[float, float, float],
        mass: float = 0.0,
        extra: str = "",
        collides: bool = True,
    ) -> None:
        """A box; one of no mass stands still."""
        schemas = ['"PhysicsCollisionAPI"'] if collides else []
        if mass:
            schemas += ['"PhysicsRigidBodyAPI"', '"PhysicsMassAPI"']
            extra += f"\n    float physics:mass = {mass / self.kilogram}"
        self.text += f"""
def Cube "{name}" (prepend apiSchemas = [{", ".join(schemas)}])
{{
    double size = 1
    double3 xformOp:translate = {self.point(*at)}
    float3 xformOp:scale = {self.size(*size)}
    uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:scale"]
    {extra}
}}
"""

    def link(
        self,
        name: str,
        at: tuple[float, float, float],
        length: float,
        mass: float,
        held: str = "",
        arm: float = 0.0,
        drive: str = "",
        collides: bool = False,
        root: bool = False,
    ) -> None:
        """A rod along X that turns about Y at its near end, on the world or on another rod.

        The first of several is the root of their articulation; `arm` is half of the length of the
        rod that holds this one.
        """
        inertia = mass * length**2 / 12 / self.kilogram / self.metre**2
        y_axis = "Y" if self.up == "Z" else "Z"
        middle = self.point(at[0] + length / 2, at[1], at[2])
        half = self.point(length / 2, 0, 0)
        thick = self.size(length, 0.05, 0.05)
        rod = '(prepend apiSchemas = ["PhysicsCollisionAPI"])' if collides else ""
        body0 = f"rel physics:body0 = </Cell/{held}>" if held else ""
        schemas = '"PhysicsRigidBodyAPI", "PhysicsMassAPI"'
        schemas += ', "PhysicsArticulationRootAPI"' if root else ""
        place = self.point(arm, 0, 0) if held else self.point(*at)
        schema = '(prepend apiSchemas = ["PhysicsDriveAPI:angular"])' if drive else ""
        self.text += f"""
def Xform "{name}" (prepend apiSchemas = [{schemas}])
{{
    float physics:mass = {mass / self.kilogram}
    point3f physics:centerOfMass = (0, 0, 0)
    float3 physics:diagonalInertia = {(inertia, inertia, inertia)}
    double3 xformOp:translate = {middle}
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Cube "Rod" {rod}
    {{
        double size = 1
        float3 xformOp:scale = {thick}
        uniform token[] xformOpOrder = ["xformOp:scale"]
    }}
}}
def PhysicsRevoluteJoint "{name}Joint" {schema}
{{
    uniform token physics:axis = "{y_axis}"
    {body0}
    rel physics:body1 = </Cell/{name}>
    point3f physics:localPos0 = {place}
    point3f physics:localPos1 = {tuple(-x for x in half)}
    {drive}
}}
"""

    def drive(self, stiffness: float, damping: float, target: float = 0.0) -> str:
        """Attributes of a drive [N.m/rad, N.m.s/rad, rad]; USD counts degrees."""
        turn = 3.141592653589793 / 180 / self.kilogram / self.metre**2
        return f"""
    float drive:angular:physics:stiffness = {stiffness * turn}
    float drive:angular:physics:damping = {damping * turn}
    float drive:angular:physics:targetPosition = {target * 180 / 3.141592653589793}
"""

    def physics(self) -> str:
        along = (0, 0, -1) if self.up == "Z" else (0, -1, 0)
        return f"""
def PhysicsScene "Physics"
{{
    float physics:gravityMagnitude = {self.gravity / self.metre}
    vector3f physics:gravityDirection = {along}
}}
"""

    def whole(self) -> str:
        head = _HEAD.format(metre=self.metre, kilogram=self.kilogram, up=self.up)
        return f"""{head}{self.physics()}
def Xform "Cell"
{{
{self.text}
}}
"""


def stage_of(scene: Scene) -> Usd.Stage:
    """Return a scene as a stage in memory."""
    stage = Usd.Stage.CreateInMemory()
    assert stage.GetRootLayer().ImportFromString(scene.whole())
    return stage


def cell(metre: float = 1.0, up: str = "Z", kilogram: float = 1.0) -> Scene:
    """A belt with a carton, a box that falls, a pendulum, two driven arms, one by an actuator."""
    scene = Scene(metre, kilogram, up)
    scene.ground()
    scene.box("Belt", (0, 0, 0.4), (6, 0.8, 0.1))
    scene.box("Carton", (-2, 0, 0.61), (0.4, 0.3, 0.3), mass=4)
    scene.box("Box", (0, 2, 0.6), (0.4, 0.4, 0.4), mass=4)
    scene.link("Pendulum", (0, 5, 3), 1.0, 2.0)
    scene.link("Upper", (0, 8, 2), 0.6, 3.0, drive=scene.drive(4000, 400), root=True)
    scene.link("Fore", (0.6, 8, 2), 0.5, 2.0, held="Upper", arm=0.3, drive=scene.drive(3000, 300))
    scene.link("Slow", (0, 11, 2), 0.5, 1.0)
    turn = scene.kilogram * scene.metre**2
    scene.text += f"""
def NewtonActuator "Motor" (
    prepend apiSchemas = [
        "NewtonPDControlAPI", "NewtonActuatorDelayAPI", "NewtonMaxEffortClampingAPI"
    ]
)
{{
    rel newton:targets = </Cell/SlowJoint>
    float newton:kp = {60 / turn}
    float newton:kd = {8 / turn}
    float newton:maxEffort = {40 / turn}
    int newton:delaySteps = 5
}}
"""
    return scene


def slope(degrees: float) -> Scene:
    """A block on a slope that falls along X."""
    scene = Scene()
    scene.text += f"""
def Cube "Slope" (prepend apiSchemas = ["PhysicsCollisionAPI"])
{{
    double size = 1
    double xformOp:rotateY = {degrees}
    float3 xformOp:scale = (6, 2, 0.2)
    uniform token[] xformOpOrder = ["xformOp:rotateY", "xformOp:scale"]
}}
def Cube "Block" (prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsRigidBodyAPI"])
{{
    double size = 0.3
    double xformOp:rotateY = {degrees}
    double3 xformOp:translate = (0, 0, 0.251)
    uniform token[] xformOpOrder = ["xformOp:rotateY", "xformOp:translate"]
}}
"""
    return scene
