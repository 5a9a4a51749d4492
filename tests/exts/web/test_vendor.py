"""The third-party modules of the viewer are those that `VENDOR.json` names, byte for byte."""

from __future__ import annotations

import hashlib
import io
import json
import runpy
import tarfile
from pathlib import Path

import pytest

WEB = Path(__file__).parents[3] / "exts" / "stagetwin.web"
VENDOR = WEB / "static" / "vendor"


@pytest.fixture
def script() -> dict[str, object]:
    """The globals of vendor.py."""
    return runpy.run_path(str(WEB / "vendor.py"))


def test_every_file_is_named_and_is_what_was_taken(script: dict[str, object]) -> None:
    page = json.loads((VENDOR / "VENDOR.json").read_text())
    named = set()
    for package in page["packages"]:
        assert package["licence"] == "MIT"
        assert (package["name"], package["version"]) == (script["NAME"], script["VERSION"])
        assert package["package_sha256"] == script["SHA256"]
        for row in package["files"]:
            data = (VENDOR / row["file"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == row["sha256"], row["file"]
            named.add(row["file"])
    there = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()}
    assert there - {"VENDOR.json"} == named
    assert any(name.endswith("LICENSE") for name in named)


def test_no_module_of_the_viewer_needs_an_import_map_or_another_host() -> None:
    modules = [*(WEB / "static" / "js").rglob("*.js"), *VENDOR.rglob("*.js")]
    assert len(modules) > 20
    for module in modules:
        for line in module.read_text().splitlines():
            if line.startswith(("import ", "export ", "} from ")) and " from " in line:
                target = line.rsplit(" from ", 1)[1].strip("'\"; ")
                assert target.startswith("."), f"{module.name}: {line[:80]}"


@pytest.mark.parametrize(
    ("target", "wanted"),
    [("three/a.js", "./three.module.js"), ("three/addons/x/a.js", "../../three.module.js")],
)
def test_bare_imports_become_relative(script: dict[str, object], target: str, wanted: str) -> None:
    rewrite = script["relative_imports"]
    assert callable(rewrite)
    text = "import { Mesh } from 'three';\nimport x from \"three/y\";\nawait import('three');\n"
    assert rewrite(text, target) == (
        f"import {{ Mesh }} from '{wanted}';\nimport x from \"three/y\";\n"
        f"await import('{wanted}');\n"
    )


def test_another_package_is_refused(script: dict[str, object], tmp_path: Path) -> None:
    unpack = script["unpack"]
    assert callable(unpack)
    package = tmp_path / "three-0.187.0.tgz"
    with tarfile.open(package, "w:gz") as archive:
        member = tarfile.TarInfo("package/LICENSE")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"MIT"))
    with pytest.raises(ValueError, match="is pinned"):
        unpack(package, tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()
