"""The project itself: its size, its public names, its entry points, its targets, its wheel."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import pathlib
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = {
    "stagetwin": ROOT / "stages" / "stagetwin",
    "stagetwin_bridges": ROOT / "bridges" / "stagetwin_bridges",
    "stagetwin_sim": ROOT / "sim" / "stagetwin_sim",
}
LINES_MOST = 400
PROMISED = {
    ("console_scripts", "stagetwin"),
    ("stagetwin.bridges", "mqtt"),
    ("stagetwin.bridges", "mqtts"),
    ("stagetwin.models", "synthetic"),
}


def modules() -> Iterator[pathlib.Path]:
    """Every Python file that is shipped or measured."""
    for folder in [*PACKAGES.values(), ROOT / "stages" / "factory", ROOT / "benchmarks"]:
        yield from sorted(folder.rglob("*.py"))


def exporting_modules() -> list[str]:
    """Dotted names of the modules that declare `__all__` and are public all the way up."""
    names = []
    for package, folder in PACKAGES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            private = any(part.startswith("_") for part in parts)
            if not private and exported(file) is not None:
                names.append(".".join([package, *parts]))
    return names


def exported(file: pathlib.Path) -> list[str] | None:
    """Return the `__all__` of a file as it is written, None if it has none."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def export_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff's RUF022 makes."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_no_module_is_too_long_to_read() -> None:
    lengths = {file: len(file.read_text().splitlines()) for file in modules()}
    assert len(lengths) > 10
    assert {str(file): lines for file, lines in lengths.items() if lines > LINES_MOST} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_that_it_is_typed(package: str) -> None:
    assert (PACKAGES[package] / "py.typed").is_file()


@pytest.mark.parametrize("name", exporting_modules())
def test_public_names_exist_once_and_are_sorted(name: str) -> None:
    module = importlib.import_module(name)
    names = module.__all__
    assert [each for each in names if not hasattr(module, each)] == []
    assert len(names) == len(set(names))
    assert list(names) == sorted(names, key=export_order)
    assert [each for each in names if each.startswith("_") and each != "__version__"] == []


def declared_entry_points() -> dict[tuple[str, str], str]:
    """What pyproject.toml declares, by group and name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    return {
        (group, name): value for group, found in groups.items() for name, value in found.items()
    }


def test_the_promised_entry_points_are_declared_and_installed() -> None:
    declared = declared_entry_points()
    assert declared.keys() >= PROMISED
    installed = importlib.metadata.distribution("stagetwin").entry_points
    assert {(point.group, point.name): point.value for point in installed} == declared


@pytest.mark.parametrize(("group", "name"), declared_entry_points())
def test_an_entry_point_resolves(group: str, name: str) -> None:
    (point,) = importlib.metadata.entry_points(group=group, name=name)
    found = point.load()
    # A kind of model is data or an object with a plan, and a simulator is a module that is run.
    assert callable(found) or group in ("stagetwin.models", "stagetwin.simulators")


def test_the_readmes_commands_are_targets() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"^```.*?^```|`[^`\n]+`", readme, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(code)))
    assert {"demo", "test"} <= named <= makefile_targets()


def test_every_target_is_listed_by_help() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(re.findall(r"^  make ([a-z]+)", done.stdout, re.MULTILINE)) == makefile_targets()


@pytest.mark.parametrize("script", [".ci/run", ".ci/system-parts"])
def test_scripts_are_sound_and_executable(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_constraints_name_exact_versions_and_one_pxr() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", pin)] == []
    assert "torch==2.13.0" in pins
    names = {pin.partition("==")[0] for pin in pins}
    assert len(names) == len(pins)
    assert "usd-core" in names
    assert "usd-exchange" not in names


def test_installed_versions_are_those_of_the_constraints() -> None:
    """A stale environment would test something else than a fresh one does."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    installed = {
        re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower(): found.version
        for found in importlib.metadata.distributions()
    }
    differ = {
        name: (installed[name], version)
        for name, version in pinned.items()
        if name in installed and installed[name].partition("+")[0] != version
    }
    assert differ == {}
    assert "usd-exchange" not in installed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A wheel, built from a source distribution of the tree, with nothing downloaded."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.glob("stagetwin-*.tar.gz"))
    return next(folder.glob("stagetwin-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_what_a_plant_needs_and_nothing_else(wheel: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "check_wheel.py"), str(wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_wheels_own_copy_registers_the_schema(
    wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import stagetwin._schema as schema
assert schema.schema_folder().is_relative_to({str(tmp_path.resolve())!r}), schema.schema_folder()
assert schema.is_registered()
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
