"""The viewer's picture in a real browser: it draws the stage, and a click finds the prim."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page
from pxr import Gf, Usd, UsdGeom

import stagetwin
from stagetwin.scene import driven_properties
from stagetwin.sync import Frame, Section, SectionKind, encode_frame
from stagetwin.twin import Twin
from tests.exts.web.viewing import Site, begin, load, looking, pixels

FACTORY = Path(__file__).parents[3] / "stages" / "factory" / "factory.usda"
SHAPES = """#usda 1.0
(
  defaultPrim = "World"
  upAxis = "Z"
  metersPerUnit = 1
)
class Xform "Kit" {
  def Cube "Block" {
    double size = 1
  }
}
def Xform "World" ( kind = "assembly" ) {
  def Xform "Kit1" ( kind = "component"; references = </Kit> ) {
    double3 xformOp:translate = (-4, 4, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
  }
  def Xform "Kit2" ( kind = "component"; references = </Kit> ) {
    double3 xformOp:translate = (-6, 4, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
  }
  def Xform "Cart" {
    double3 xformOp:translate = (0, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Cube "Body" {
      double size = 2
      color3f[] primvars:displayColor = [(0.1, 0.2, 0.9)]
    }
    def Xform "Mast" {
      double3 xformOp:translate = (0, 0, 2)
      uniform token[] xformOpOrder = ["xformOp:translate"]
      def Sphere "Lamp" {
        double radius = 0.5
      }
      def Cube "Gate" ( variants = { string look = "wide" }; prepend variantSets = "look" ) {
        double3 xformOp:translate = (3, 0, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
        variantSet "look" = {
          "wide" {
            double size = 2
          }
          "small" {
            double size = 0.5
          }
        }
      }
    }
  }
  def Xform "Mirror" {
    float3 xformOp:scale = (-1, 1, 1)
    double3 xformOp:translate = (6, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:scale"]
    def Mesh "Wedge" {
      point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
      int[] faceVertexCounts = [3, 3, 3, 3]
      int[] faceVertexIndices = [0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3]
      uniform token subdivisionScheme = "none"
    }
  }
  def Cube "Secret" {
    token visibility = "invisible"
  }
  def Cube "Guide" {
    uniform token purpose = "guide"
    double3 xformOp:translate = (0, -5, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
  }
}
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A site; each test shows what it needs."""
    running = Site()
    yield running
    running.close()


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator[Page]:
    """One browser for all: beginning one costs more than most tests."""
    with looking(site) as opened:
        yield opened


@pytest.fixture(scope="module")
def factory() -> Usd.Stage:
    """The example plant, composed."""
    assert stagetwin.__name__  # imported first: it registers the schema
    return Usd.Stage.Open(str(FACTORY))


def shapes(offset: float = 0.0) -> Usd.Stage:
    """A small stage, `offset` metres from the origin."""
    stage = Usd.Stage.CreateInMemory()
    stage.GetRootLayer().ImportFromString(SHAPES)
    if offset:
        UsdGeom.Xformable(stage.GetDefaultPrim()).AddTranslateOp().Set(Gf.Vec3d(offset, offset, 0))
    return stage


def corners(prim: Usd.Prim, cache: UsdGeom.XformCache) -> np.ndarray[Any, Any] | None:
    """Points of a cube or mesh in stage space, shape (n, 3); None for other types."""
    if prim.IsA(UsdGeom.Cube):
        half = UsdGeom.Cube(prim).GetSizeAttr().Get() / 2
        points = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    elif prim.IsA(UsdGeom.Mesh):
        points = np.asarray(UsdGeom.Mesh(prim).GetPointsAttr().Get(), np.float64)
    else:
        return None
    matrix = np.asarray(cache.GetLocalToWorldTransform(prim))
    return np.asarray(points @ matrix[:3, :3] + matrix[3, :3])


def test_the_factory_is_drawn_where_usd_has_it_in_few_calls(
    site: Site, page: Page, factory: Usd.Stage
) -> None:
    site.show(factory, driven=driven_properties(Twin(factory).table))
    cache = UsdGeom.XformCache()
    wanted = {}
    drawn = ("default", "render")
    for prim in Usd.PrimRange(factory.GetDefaultPrim(), Usd.TraverseInstanceProxies()):
        image = UsdGeom.Imageable(prim)
        inside = "/Fleet/" in str(prim.GetPath())
        points = None if inside or not image else corners(prim, cache)
        if points is None or image.ComputePurpose() not in drawn:
            continue
        if image.ComputeVisibility() != "invisible":
            wanted[str(prim.GetPath())] = [points.min(0).tolist(), points.max(0).tolist()]
    assert len(wanted) > 2000
    assert any(factory.GetPrimAtPath(path).IsInstanceProxy() for path in wanted)
    begin(page)
    got = page.evaluate("(paths) => paths.map((path) => stagetwin.view.bounds(path))", list(wanted))
    for path, bounds, box in zip(wanted, got, wanted.values(), strict=True):
        assert bounds is not None, path
        np.testing.assert_allclose(bounds, box, atol=2e-5, err_msg=path)
    whole = page.evaluate("stagetwin.view.bounds('/')")
    # The manifest's are those of models' boxes, a little wider where something is turned.
    np.testing.assert_allclose(whole, site.manifest["stage"]["bounds"], atol=0.05)
    stats = page.evaluate("stagetwin.view.stats")
    assert stats["drawCalls"] <= 200
    assert stats["models"] == len(site.scene.glbs) if site.scene else False
    picked(page, list(wanted))


def picked(page: Page, paths: list[str]) -> None:
    """Pick prims of the factory both ways: by a click to the path, by the path to the picture."""
    boxes = [
        path
        for path in ("/World/Line1/P101/Panel/Box", "/World/Building/Floor/Slab")
        if path in paths
    ]
    proxies = [path for path in paths if "/Racks/Rack02/" in path][3:5]
    inside = [path for path in paths if "/RobotCell/R01/Model/J1/J2/" in path][:2]
    for path in [*boxes, *proxies, *inside, "/World/Logistics/Fleet[3]"]:
        hit = page.evaluate(
            """async (path) => {
              const { view } = stagetwin;
              view.isolate(path);
              view.fit(path, { seconds: 0 });
              await stagetwin.idle();
              const [low, high] = view.bounds(path);
              const at = view.project(low.map((x, k) => (x + high[k]) / 2));
              return view.pick(at.x, at.y);
            }""",
            path,
        )
        assert hit is not None, path
        assert hit["element"] == path
        if path.endswith("]"):
            assert (hit["path"], hit["instance"]) == ("/World/Logistics/Fleet", 3)
    page.evaluate("stagetwin.view.isolate(null)")


def test_a_click_tells_the_prim_and_a_selection_marks_that_prim_alone(
    site: Site, page: Page
) -> None:
    site.show(shapes())
    begin(page)
    page.evaluate(
        """() => {
          window.hits = [];
          stagetwin.view.on("pick", (hit) => hits.push(hit && hit.element));
          stagetwin.view.fit("/World/Cart", { seconds: 0 });
        }"""
    )
    at = page.evaluate("stagetwin.view.project([0, 0, 2.2])")
    page.mouse.click(at["x"], at["y"])
    page.mouse.click(4, 4)
    assert page.evaluate("hits") == ["/World/Cart/Mast/Lamp", None]
    before = pixels(page)
    page.evaluate("stagetwin.view.select('/World/Cart/Mast/Lamp')")
    changed = np.argwhere(np.abs(pixels(page) - before).max(2) > 12)
    assert len(changed) > 20
    middle = page.evaluate("stagetwin.view.project([0, 0, 2])")
    edge = page.evaluate("stagetwin.view.project([0, 0, 2.5])")
    reach = abs(middle["y"] - edge["y"]) * 1.25 + 5
    far = np.hypot(changed[:, 0] - middle["y"], changed[:, 1] - middle["x"])
    assert far.max() <= reach
    page.evaluate("stagetwin.view.select(null)")
    assert np.array_equal(pixels(page), before)


def test_mirrored_and_hidden_prims_are_drawn_as_usd_says(site: Site, page: Page) -> None:
    site.show(shapes())
    begin(page)
    look = "async (p) => { const v = stagetwin.view; v.setCamera(p); await stagetwin.idle(); "
    hit = page.evaluate(
        look + "const a = v.project([5.7, 0.3, 0.3]); return v.pick(a.x, a.y); }",
        {"position": [2, 6, 5], "target": [5.7, 0.3, 0.3]},
    )
    # The slanted face of the mirrored wedge looks to the left and up.
    assert hit["path"] == "/World/Mirror/Wedge"
    np.testing.assert_allclose(hit["normal"], np.array([-1, 1, 1]) / np.sqrt(3), atol=1e-6)
    assert page.evaluate("stagetwin.view.bounds('/World/Secret')") is None
    assert page.evaluate("stagetwin.view.bounds('/World/Guide')") is None
    page.evaluate("stagetwin.view.setPurposes({ guide: true })")
    np.testing.assert_allclose(
        page.evaluate("stagetwin.view.bounds('/World/Guide')"), [[-1, -6, -1], [1, -4, 1]]
    )
    page.evaluate("stagetwin.view.setShowInvisible(true)")
    assert page.evaluate("stagetwin.view.bounds('/World/Secret')") is not None


def test_sections_hide_show_and_move_what_lies_behind(site: Site, page: Page) -> None:
    site.show(shapes())
    begin(page)
    probe = """async () => {
      const { view } = stagetwin;
      await stagetwin.idle();
      const at = view.project([0, -1, 0]);
      const hit = view.pick(at.x, at.y);
      return [Math.round(at.x), Math.round(at.y), hit && hit.element, hit && hit.point[1]];
    }"""
    page.evaluate("stagetwin.view.setCamera({ position: [0, -12, 0.4], target: [0, 0, 0.4] })")
    x, y, element, depth = page.evaluate(probe)
    assert element == "/World/Cart/Body"
    assert depth == pytest.approx(-1)
    whole = pixels(page)[y, x]
    page.evaluate(
        "window.cut = stagetwin.view.sections.add({ normal: [0, -1, 0], point: [0, 0, 0] });"
        "stagetwin.view.sections.showHandles = false"
    )
    # Through the cut the far face is met from within, and drawn as the cut's own surface.
    _, _, element, depth = page.evaluate(probe)
    assert (element, depth) == ("/World/Cart/Body", pytest.approx(1, abs=1e-3))
    capped = pixels(page)[y, x]
    assert np.abs(capped - whole).max() > 25
    page.evaluate("stagetwin.view.sections.move(cut, -1.5)")
    assert page.evaluate(probe)[2] is None
    page.evaluate("stagetwin.view.sections.flip(cut)")
    assert page.evaluate(probe)[2:] == ["/World/Cart/Body", pytest.approx(-1)]
    page.evaluate("stagetwin.view.sections.remove(cut)")
    assert page.evaluate(probe)[2] == "/World/Cart/Body"
    assert np.abs(pixels(page)[y, x] - whole).max() <= 2
    page.evaluate("stagetwin.view.hide('/World/Cart/Body')")
    assert page.evaluate(probe)[2] is None
    assert page.evaluate("stagetwin.view.hidden") == ["/World/Cart/Body"]
    lamp = page.evaluate("stagetwin.view.bounds('/World/Cart/Mast/Lamp')")
    assert lamp is not None
    page.evaluate("stagetwin.view.show('/World/Cart/Body')")
    assert page.evaluate(probe)[2] == "/World/Cart/Body"


def test_a_variant_switch_redraws_and_fifty_epochs_leave_nothing_behind(
    site: Site, page: Page
) -> None:
    stage = shapes()
    gate = stage.GetPrimAtPath("/World/Cart/Mast/Gate")
    look = gate.GetVariantSet("look")
    site.show(stage)
    begin(page)
    wide = page.evaluate("stagetwin.view.bounds('/World/Cart/Mast/Gate')")
    page.evaluate("stagetwin.view.select(['/World/Cart/Mast/Gate', '/World/Mirror'])")
    page.evaluate("stagetwin.view.tint('/World/Cart/Body', '#ff0000')")
    fetched = page.evaluate("fetched.length")
    picture = pixels(page)
    look.SetVariantSelection("small")
    site.show(stage, 2)
    load(page)
    small = page.evaluate("stagetwin.view.bounds('/World/Cart/Mast/Gate')")
    np.testing.assert_allclose(np.subtract(*wide[::-1]), 2)
    np.testing.assert_allclose(np.subtract(*small[::-1]), 0.5)
    assert page.evaluate("fetched.length") == fetched + 1, "equal models are not fetched again"
    assert np.abs(pixels(page) - picture).max() > 25
    used = []
    for epoch in range(3, 53):
        look.SetVariantSelection("small" if epoch % 2 else "wide")
        site.show(stage, epoch)
        load(page)
        if epoch in (4, 52):
            used.append(page.evaluate("stagetwin.view.stats"))
    assert used[1]["epoch"] == 52
    for name in ("geometries", "textures", "programs", "bodies", "batches", "models"):
        assert used[1][name] == used[0][name], name


def test_frames_move_prims_and_elements_also_ten_kilometres_away(site: Site, page: Page) -> None:
    stage = shapes(10_000.0)
    cart = stage.GetPrimAtPath("/World/Cart")
    site.show(stage, driven={cart.GetPath().AppendProperty("xformOp:translate")})
    assert [mover["path"] for mover in site.manifest["movers"]] == ["/World/Cart"]
    begin(page)
    page.evaluate("stagetwin.view.feed.setTable([{ path: '/World/Cart' }], [])")
    pose = np.array([[0.25, -0.125, 0.001, 0, 0, np.sqrt(0.5), np.sqrt(0.5)]])
    page.evaluate("(text) => frame(text)", frame([Section(SectionKind.MOVER_POSE, ROW, pose)]))
    world = page.evaluate("stagetwin.view.poseOf('/World/Cart/Mast')")
    np.testing.assert_allclose(world[12:15], [10_000.25, 9_999.875, 2.001], atol=1e-9)
    np.testing.assert_allclose(world[0:3], [0, 1, 0], atol=1e-6)
    # Sheared and scaled: a matrix, taken as it is.
    matrix = np.eye(4)
    matrix[2, 2], matrix[1, 0] = 3.0, 0.5
    moved = Section(SectionKind.MOVER_MATRIX, ROW, matrix.reshape(1, 16))
    page.evaluate("(text) => frame(text)", frame([moved]))
    bounds = page.evaluate("stagetwin.view.bounds('/World/Cart/Body')")
    np.testing.assert_allclose(bounds, [[9_998.5, 9_999, -3], [10_001.5, 10_001, 3]], atol=1e-6)
    page.evaluate("(text) => frame(text)", frame([Section(SectionKind.MOVER_POSE, ROW, REST)]))
    page.evaluate("stagetwin.view.fit('/World', { seconds: 0 })")
    far = pixels(page)
    site.show(shapes())
    load(page)
    page.evaluate("stagetwin.view.fit('/World', { seconds: 0 })")
    near = pixels(page)
    differs = (np.abs(far - near).max(2) > 8).mean()
    assert differs < 0.002, "ten kilometres away the picture is the same"


ROW = np.array([0])
REST = np.array([[0, 0, 0, 0, 0, 0, 1.0]])


def frame(sections: list[Section]) -> str:
    """A frame as text that a page decodes."""
    return base64.b64encode(encode_frame(Frame(1, 1, 2, 0, 10.0, sections))).decode()


def test_ghosts_pins_and_tints_are_where_the_stage_says(site: Site, page: Page) -> None:
    site.show(shapes())
    begin(page)
    page.evaluate(
        """() => {
          window.pinned = null;
          window.off = stagetwin.view.pins.on("move", (pins) => (pinned = pins));
          stagetwin.view.setCamera({ position: [0, -16, 2], target: [0, 0, 2] });
        }"""
    )
    before = pixels(page)
    # A ghost of the cart two metres up: it draws above the gate, where nothing was.
    page.evaluate(
        "stagetwin.view.setGhost('/World/Cart', { position: [0, 0, 3], orientation: [0, 0, 0, 1] })"
    )
    at = page.evaluate("stagetwin.view.project([0, 0, 5])")
    x, y = round(at["x"]), round(at["y"])
    assert np.abs(pixels(page)[y, x] - before[y, x]).max() > 8
    assert page.evaluate("stagetwin.view.bounds('/World/Cart')[1][2]") == pytest.approx(3)
    page.evaluate("stagetwin.view.setGhost('/World/Cart', null)")
    assert np.array_equal(pixels(page), before)

    page.evaluate("stagetwin.view.tint('/World/Cart/Body', '#ff0000', 0.8)")
    body = page.evaluate("stagetwin.view.project([0, -1, 0])")
    tinted = pixels(page)[round(body["y"]), round(body["x"])]
    assert tinted[0] > 120
    assert tinted[0] > 2 * tinted[2]
    gate = page.evaluate("stagetwin.view.project([3, -1, 2])")
    at_gate = round(gate["y"]), round(gate["x"])
    assert np.array_equal(pixels(page)[at_gate], before[at_gate])

    pins = page.evaluate(
        """async () => {
          const { view } = stagetwin;
          view.pins.set("front", { path: "/World/Cart/Body", local: [0, -1, 0] });
          view.pins.set("back", { path: "/World/Cart/Body", local: [0, 1, 0] });
          view.pins.set("gone", { path: "/World/Nothing", local: [0, 0, 0] });
          await stagetwin.idle();
          return Object.fromEntries([...pinned].map(([id, pin]) => [id, { ...pin }]));
        }"""
    )
    assert (pins["front"]["visible"], pins["front"]["hidden"]) == (True, False)
    assert (pins["back"]["visible"], pins["back"]["hidden"]) == (True, True)
    assert pins["gone"]["lost"]
    assert pins["front"]["x"] == pytest.approx(body["x"], abs=0.01)
    page.evaluate("stagetwin.view.pins.clear(), off()")


def test_keys_wheel_and_handles_move_what_they_should(site: Site, page: Page) -> None:
    site.show(shapes())
    begin(page)
    page.evaluate("stagetwin.view.setCamera({ position: [0, -16, 2], target: [0, 0, 2] })")
    page.focus("#canvas")
    page.keyboard.press("ArrowLeft")
    turned = page.evaluate("stagetwin.view.camera")
    assert turned["position"][0] != pytest.approx(0, abs=0.1)
    assert np.linalg.norm(np.subtract(turned["position"], turned["target"])) == pytest.approx(16)
    page.keyboard.press("+")
    nearer = page.evaluate("stagetwin.view.camera")
    assert np.linalg.norm(np.subtract(nearer["position"], nearer["target"])) < 14
    page.evaluate("stagetwin.view.setCamera({ position: [0, -16, 2], target: [0, 0, 2] })")
    page.mouse.move(160, 120)
    page.mouse.wheel(0, -200)
    page.wait_for_function("() => stagetwin.view.camera.position[1] > -15")
    page.keyboard.press("Home")
    page.evaluate("stagetwin.idle()")

    page.evaluate(
        """() => {
          const { view } = stagetwin;
          view.setCamera({ position: [12, -12, 6], target: [0, 0, 1] });
          window.cut = view.sections.add({ normal: [1, 0, 0], point: [0, 0, 1] });
        }"""
    )
    page.focus("#canvas")
    page.keyboard.press("]")
    moved = page.evaluate("stagetwin.view.sections.list[0].point")
    assert moved[0] > 0
    tip = page.evaluate(
        """async () => {
          await stagetwin.idle();
          const { view } = stagetwin;
          const [x, y, z] = view.sections.list[0].point;
          const away = Math.hypot(12 - x, -12 - y, 6 - z) * 0.035;
          return [view.project([x + away, y, z]), view.project([x + 3 + away, y, z])];
        }"""
    )
    camera = page.evaluate("stagetwin.view.camera")
    page.mouse.move(tip[0]["x"], tip[0]["y"])
    page.mouse.down()
    page.mouse.move(tip[1]["x"], tip[1]["y"], steps=4)
    page.mouse.up()
    dragged = page.evaluate("stagetwin.view.sections.list[0].point")
    np.testing.assert_allclose(dragged, [moved[0] + 3, 0, 1], atol=0.05)
    assert page.evaluate("stagetwin.view.camera") == camera
