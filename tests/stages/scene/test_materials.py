"""Materials: UsdPreviewSurface as glTF, and what is said of all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd

from stagetwin.scene import Scene, _textures, convert_stage
from tests.stages.scene.zoo import Drawn, drawn, png, stage_of, write_zoo


@pytest.fixture
def zoo(tmp_path: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(write_zoo(tmp_path)))


def textured(scene: Scene) -> Drawn:
    return drawn(scene)["/World/Textured/Quad"]


def picture(shape: Drawn, texture: int) -> bytes:
    image = shape.document["images"][shape.document["textures"][texture]["source"]]
    assert image["mimeType"] == "image/png"
    view = shape.document["bufferViews"][image["bufferView"]]
    return shape.data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]


def test_a_preview_surface_is_metallic_roughness(zoo: Usd.Stage) -> None:
    shape = drawn(convert_stage(zoo))["/World/Meshes/Subsets"]
    glass, steel = shape.material(0), shape.material(1)
    assert steel["name"] == "Steel"
    assert steel["pbrMetallicRoughness"] == {
        "baseColorFactor": [0.5, 0.6, 0.7, 1.0],
        "metallicFactor": 0.9,
        "roughnessFactor": 0.2,
    }
    assert steel["emissiveFactor"] == [1.0, 0.5, 0.0]
    assert steel["extensions"] == {
        "KHR_materials_clearcoat": {"clearcoatFactor": 0.5, "clearcoatRoughnessFactor": 0.01},
        "KHR_materials_emissive_strength": {"emissiveStrength": 2.0},
        "KHR_materials_ior": {"ior": 1.8},
    }
    assert glass["alphaMode"] == "BLEND"
    assert glass["pbrMetallicRoughness"]["baseColorFactor"][3] == 0.25


def test_textures_are_taken_as_they_are(zoo: Usd.Stage) -> None:
    shape = textured(convert_stage(zoo))
    material = shape.material()
    color = material["pbrMetallicRoughness"]["baseColorTexture"]
    assert picture(shape, color["index"]) == png()
    sampler = shape.document["samplers"][shape.document["textures"][color["index"]]["sampler"]]
    assert (sampler["wrapS"], sampler["wrapT"]) == (10497, 33648)
    assert len(shape.document["images"]) == 1


def test_texture_coordinates_are_transformed_and_turned_upside_down(zoo: Usd.Stage) -> None:
    shape = textured(convert_stage(zoo))
    material = shape.material()
    assert material["pbrMetallicRoughness"]["baseColorTexture"].get("texCoord", 0) == 0
    assert material["normalTexture"]["texCoord"] == 1
    st = shape.attribute("POSITION")[:, :2].astype(float)  # st are x and y here
    plain = np.stack([st[:, 0], 1 - st[:, 1]], axis=1)
    np.testing.assert_allclose(shape.attribute("TEXCOORD_1"), plain, atol=1e-6)
    # Scaled by (2, 3), turned by 90 degrees, moved by (0.5, 0.25).
    u, v = -3 * st[:, 1] + 0.5, 2 * st[:, 0] + 0.25
    expected = np.stack([u, 1 - v], axis=1)
    np.testing.assert_allclose(shape.attribute("TEXCOORD_0"), expected, atol=1e-6)


def test_textures_of_packages_are_found(zoo: Usd.Stage, tmp_path: Path) -> None:
    package = tmp_path / "zoo.usdz"
    writer = Sdf.ZipFileWriter.CreateNew(str(package))
    for name in ("zoo.usda", "pump.usda", "centimetres.usda", "red.png"):
        writer.AddFile(str(tmp_path / name), name)
    assert writer.Save()
    shape = textured(convert_stage(Usd.Stage.Open(str(package))))
    color = shape.material()["pbrMetallicRoughness"]["baseColorTexture"]
    assert picture(shape, color["index"]) == png()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "its file is not found"),
        (b"v/1 exr", "it is neither PNG nor JPEG"),
        (png(64, 64), "its file has"),
    ],
)
def test_a_texture_that_cannot_be_had_takes_its_fallback(
    zoo: Usd.Stage,
    content: bytes | None,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "red.png").unlink()
    if content is not None:
        (tmp_path / "red.png").write_bytes(content)
    monkeypatch.setattr(_textures, "MAX_IMAGE", 100)
    node = zoo.GetPrimAtPath("/World/Looks/Painted/Color")
    node.CreateAttribute("inputs:fallback", Sdf.ValueTypeNames.Float4).Set((0.1, 0.2, 0.3, 1))
    scene = convert_stage(zoo)
    pbr = textured(scene).material()["pbrMetallicRoughness"]
    assert "baseColorTexture" not in pbr
    assert pbr["baseColorFactor"] == [0.1, 0.2, 0.3, 1.0]
    said = [str(p) for p in scene.problems if p.path == "/World/Looks/Painted"]
    assert len(said) == 2
    assert all(reason in text for text in said)


def test_other_materials_take_the_display_colour_and_say_so(zoo: Usd.Stage) -> None:
    scene = convert_stage(zoo)
    material = drawn(scene)["/World/Textured/Foreign"].material()
    assert material["pbrMetallicRoughness"]["baseColorFactor"] == [0.9, 0.8, 0.7, 1.0]
    assert material["extras"]["material"].startswith("unsupported")
    assert material["name"] == "Mdl"
    (problem,) = (p for p in scene.problems if p.path == "/World/Looks/Mdl")
    assert "mdl" in problem.reason
    assert {"path": problem.path, "reason": problem.reason} in scene.manifest["problems"]


def test_what_says_nothing_is_grey_and_what_inherits_is_not(zoo: Usd.Stage) -> None:
    found = drawn(convert_stage(zoo))
    grey = found["/World/Gprims/Cube"].material()["pbrMetallicRoughness"]["baseColorFactor"]
    assert grey == [0.18, 0.18, 0.18, 1.0]
    child = found["/World/Inherited/Child"].material()["pbrMetallicRoughness"]["baseColorFactor"]
    assert child == [0.25, 0.5, 0.75, 1.0]


SURFACE = """
def Xform "World" {{
    def Mesh "M" ( prepend apiSchemas = ["MaterialBindingAPI"] ) {{
        uniform token subdivisionScheme = "none"
        point3f[] points = [(0, 0, 0), (1, 0, 0), (1, 1, 0)]
        int[] faceVertexCounts = [3]
        int[] faceVertexIndices = [0, 1, 2]
        color3f[] primvars:displayColor = [(1, 0, 0), (0, 1, 0), (0, 0, 1)] (
            interpolation = "vertex"
        )
        rel material:binding = </World/M1> }}
    def Material "M1" {{
        {interface}
        token outputs:surface.connect = </World/M1/S.outputs:surface>
        def Shader "S" {{
            uniform token info:id = "UsdPreviewSurface"
            {inputs}
            token outputs:surface }}
        {nodes} }}
}}
"""


def surface(inputs: str, interface: str = "", nodes: str = "") -> tuple[Drawn, Scene]:
    text = SURFACE.format(inputs=inputs, interface=interface, nodes=nodes)
    scene = convert_stage(stage_of(text))
    (shape,) = drawn(scene).values()
    return shape, scene


def test_inputs_of_the_material_reach_the_surface() -> None:
    shape, scene = surface(
        "color3f inputs:diffuseColor.connect = </World/M1.inputs:paint>",
        "color3f inputs:paint = (0.25, 0.5, 1)",
    )
    assert shape.material()["pbrMetallicRoughness"]["baseColorFactor"] == [0.25, 0.5, 1.0, 1.0]
    assert scene.problems == ()


def test_a_surface_may_take_the_display_colour() -> None:
    shape, _ = surface(
        "color3f inputs:diffuseColor.connect = </World/M1/R.outputs:result>",
        nodes="""def Shader "R" {
            uniform token info:id = "UsdPrimvarReader_float3"
            string inputs:varname = "displayColor"
            float3 outputs:result }""",
    )
    np.testing.assert_array_equal(shape.attribute("COLOR_0")[:, :3], np.eye(3))
    plain, _ = surface("color3f inputs:diffuseColor = (1, 1, 1)")
    assert "COLOR_0" not in plain.primitives[0]["attributes"]


def test_a_threshold_cuts_instead_of_blending() -> None:
    shape, _ = surface("float inputs:opacity = 0.5; float inputs:opacityThreshold = 0.3")
    assert shape.material()["alphaMode"] == "MASK"
    assert shape.material()["alphaCutoff"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    "inputs",
    [
        "color3f inputs:diffuseColor = (nan, 0, inf)",
        "color3f inputs:diffuseColor = (-1, 7, 0.5); float inputs:roughness = -3",
        "float inputs:metallic = inf; float inputs:ior = nan; float inputs:clearcoat = nan",
        'string inputs:diffuseColor = "red"; token inputs:roughness = "much"',
        "color3f inputs:diffuseColor.connect = </World/M1/S.inputs:emissiveColor>; "
        "color3f inputs:emissiveColor.connect = </World/M1/S.inputs:diffuseColor>",
        "color3f inputs:diffuseColor.connect = </World/Nowhere.outputs:rgb>",
        "color3f inputs:diffuseColor.connect = </World/M1/S.outputs:surface>",
    ],
)
def test_no_surface_spoils_the_shape(inputs: str) -> None:
    shape, _ = surface(inputs)
    factor = shape.material()["pbrMetallicRoughness"].get("baseColorFactor", [0.18] * 4)
    assert all(0 <= part <= 1 for part in factor)


def test_transforms_that_bite_their_tail_end() -> None:
    loop = """def Shader "T" {
        uniform token info:id = "UsdUVTexture"
        asset inputs:file = @none.png@
        float2 inputs:st.connect = </World/M1/A.outputs:result>
        float3 outputs:rgb }
    def Shader "A" {
        uniform token info:id = "UsdTransform2d"
        float2 inputs:in.connect = </World/M1/A.outputs:result>
        float2 outputs:result }"""
    _, scene = surface(
        "color3f inputs:diffuseColor.connect = </World/M1/T.outputs:rgb>", nodes=loop
    )
    assert "its file is not found" in scene.problems[0].reason
