"""Files: what is unpacked, what is read from it, and what is refused."""

from __future__ import annotations

import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stagetwin.bindings import fmu_name
from stagetwin_sim._errors import FmuError
from stagetwin_sim.fmi import _archive, read_fmu
from stagetwin_sim.fmi._units import si_unit


def archive(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], level: int = 0) -> Path:
    """Write a zip file."""
    method = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as held:
        for name, data in entries:
            held.writestr(name, data)
    return path


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("../outside.txt", "is no path inside"),
        ("resources/../../outside.txt", "is no path inside"),
        ("/etc/outside.txt", "is no path inside"),
        ("C:/outside.txt", "is no path inside"),
        ("resources\\..\\outside.txt", "is no path inside"),
        (link("resources/link"), "is a link"),
    ],
)
def test_paths_that_lead_out_are_refused(
    tmp_path: Path, entry: str | zipfile.ZipInfo, why: str
) -> None:
    path = archive(tmp_path / "a.fmu", ("modelDescription.xml", b"<x/>"), (entry, b"/etc"))
    with pytest.raises(FmuError, match=why):
        read_fmu(path)
    assert not (tmp_path.parent / "outside.txt").exists()


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "dense.fmu", ("resources/zeros", bytes(5_000_000)), level=9)
    with pytest.raises(FmuError, match="more than 200 to 1"):
        read_fmu(path)
    monkeypatch.setattr(_archive, "MAX_SIZE", 1000)
    monkeypatch.setattr(_archive, "MAX_FILES", 2)
    with pytest.raises(FmuError, match="at most 1000 B are allowed"):
        read_fmu(archive(tmp_path / "big.fmu", ("a", bytes(2000))))
    with pytest.raises(FmuError, match="at most 2 are allowed"):
        read_fmu(archive(tmp_path / "many.fmu", *((str(i), b"") for i in range(3))))


def test_what_is_no_fmu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FmuError, match=r"ends in \.fmu"):
        read_fmu(tmp_path / "absent.fmu")
    (tmp_path / "text.fmu").write_text("hello")
    with pytest.raises(FmuError, match="cannot be unpacked"):
        read_fmu(tmp_path / "text.fmu")
    with pytest.raises(FmuError, match=r"modelDescription\.xml cannot be read"):
        read_fmu(archive(tmp_path / "bare.fmu", ("a", b"")))
    entities = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    with pytest.raises(FmuError, match="cannot be read"):
        read_fmu(archive(tmp_path / "xxe.fmu", ("modelDescription.xml", entities)))


def changed(source: Path, path: Path, *edits: tuple[str, str], without: str = "\0") -> Path:
    """Copy an FMU with another model description."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "modelDescription.xml":
                text = data.decode()
                for before, after in edits:
                    assert before in text
                    text = text.replace(before, after)
                data = text.encode()
            if not name.startswith(without):
                new.writestr(name, data)
    return path


def test_a_missing_binary_names_those_there_are(fmus: Path, tmp_path: Path) -> None:
    path = changed(fmus / "Lag3.fmu", tmp_path / "x.fmu", without="binaries/x86_64-linux")
    with pytest.raises(FmuError, match=r"has no binary for .*; it has .*x86_64-windows"):
        read_fmu(path)


def test_other_versions_and_modes_are_refused(fmus: Path, tmp_path: Path) -> None:
    path = changed(fmus / "Lag3.fmu", tmp_path / "me.fmu", ("CoSimulation", "ModelExchange"))
    with pytest.raises(FmuError, match="for model exchange"):
        read_fmu(path)
    path = changed(fmus / "Lag3.fmu", tmp_path / "v4.fmu", ('fmiVersion="3.0"', 'fmiVersion="1.0"'))
    with pytest.raises(FmuError, match=r"FMI 1\.0; 2\.0 and 3\.0|cannot be read"):
        read_fmu(path)
    identifier = ('modelIdentifier="Lag3"', 'modelIdentifier="../../evil"')
    path = changed(fmus / "Lag3.fmu", tmp_path / "id.fmu", identifier)
    with pytest.raises(FmuError, match="is no C identifier"):
        read_fmu(path)


def test_variables_are_read_with_units_and_ranges(ball: Path) -> None:
    fmu = read_fmu(ball)
    assert (fmu.version, fmu.step, fmu.savable, fmu.event_mode) == (3, 0.01, True, True)
    assert [v.name for v in fmu.outputs] == ["h", "v"]
    assert [(v.name, v.unit, v.minimum) for v in fmu.parameters] == [
        ("g", "m/s2", 0.1),
        ("e", "", 0.5),
    ]
    assert fmu.variables["count_of_bounces"].name == "count.of bounces"
    assert fmu.unusable == {
        "remark": "remark is a String, no number",
        "trail": "trail is an array",
    }
    assert read_fmu(ball) is fmu


def test_one_content_is_unpacked_once(fmus: Path, tmp_path: Path) -> None:
    first = read_fmu(fmus / "Lag2.fmu")
    (tmp_path / "copy.fmu").write_bytes((fmus / "Lag2.fmu").read_bytes())
    assert read_fmu(tmp_path / "copy.fmu").digest == first.digest


@pytest.mark.parametrize(
    ("name", "ucum", "value", "expected"),
    [
        ("bar", "Pa", 2.0, 2e5),
        ("degC", "K", 20.0, 293.15),
        ("rpm", "rad/s", 60.0, 6.283185307179586),
        ("l/min", "m3/s", 60.0, 1e-3),
        ("kW", "W", 1.5, 1500.0),
        ("%", "1", 50.0, 0.5),
        ("N.m", "N.m", 3.0, 3.0),
        ("kN.m", "N.m", 3.0, 3000.0),
        ("m3/h", "m3/s", 3600.0, 1.0),
        ("", "", 4.0, 4.0),
        ("furlong per fortnight", "", 4.0, 4.0),
    ],
)
def test_names_of_units_become_si(name: str, ucum: str, value: float, expected: float) -> None:
    unit, si = si_unit(name)
    assert unit == ucum
    assert si(value) == pytest.approx(expected, rel=1e-12)


def test_names_that_usd_can_hold() -> None:
    assert fmu_name("motor.T[1]") == "motor_T_1_"
    assert fmu_name("2nd") == "_2nd"


def test_what_a_killed_process_left_is_removed(fmus: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from stagetwin_sim.fmi import _archive\n"
        "print(_archive.unpacked(Path(sys.argv[1])), flush=True)\n"
        "sys.stdin.read()"
    )
    file = next(fmus.glob("*.fmu"))
    mine = _archive.unpacked(file)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        _archive.unpacked(file)
        assert (theirs / "modelDescription.xml").is_file(), "one that is in use"
        other.kill()
        other.wait()
    assert theirs.is_dir()
    _archive.unpacked(file)
    assert not theirs.exists()
    assert (mine / "modelDescription.xml").is_file()
