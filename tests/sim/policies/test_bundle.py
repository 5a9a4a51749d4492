"""A bundle is read by whoever trusts its signer, and not when any byte of it differs."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin_sim._errors import BundleError, PolicyError
from stagetwin_sim.policies import (
    ActionSpec,
    Bundle,
    Fallback,
    Novelty,
    ObservationSpec,
    SigningKey,
    Term,
    VerifyKey,
    load_trusted,
)

from .small_bundles import ACTIONS, OBSERVATIONS, bundle_of, novelty, spec_of

KEY, OTHER = SigningKey.make(), SigningKey.make()
SIGNED = bundle_of(novelty=novelty()).sign(KEY)
FILE = SIGNED.encode()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = bundle_of(novelty=novelty()).write(tmp_path / "a" / "policy.bundle", KEY)
    found = Bundle.read(file, [OTHER.public, KEY.public])
    assert (found.spec, found.model) == (SIGNED.spec, SIGNED.model)
    assert found.trusted
    assert found.signer == KEY.public.id
    assert found.digest == SIGNED.digest
    assert [part.name for part in (tmp_path / "a").iterdir()] == ["policy.bundle"]


def test_the_same_content_is_the_same_file() -> None:
    assert bundle_of(novelty=novelty()).sign(KEY).encode() == FILE
    assert bundle_of(novelty=novelty()).encode() != FILE


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused(place: int, change: int) -> None:
    data = bytearray(FILE)
    data[place] ^= change
    with pytest.raises(BundleError):
        Bundle.decode(bytes(data), [KEY.public])


@given(st.binary(max_size=200))
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        Bundle.decode(data, [KEY.public], unsigned=True)


@pytest.mark.parametrize("cut", [0, 1, 20, len(FILE) // 2, len(FILE) - 1])
def test_a_cut_file_is_refused(cut: int) -> None:
    for data in (FILE[:cut], FILE[cut:] if cut else FILE + b"\0"):
        with pytest.raises(BundleError):
            Bundle.decode(data, [KEY.public])


def test_unknown_keys_and_no_keys_are_refused() -> None:
    with pytest.raises(BundleError, match=f"signed by {KEY.public.id}; trusted keys: none"):
        Bundle.decode(FILE)
    with pytest.raises(BundleError, match=f"trusted keys: {OTHER.public.id}"):
        Bundle.decode(FILE, [OTHER.public])
    with pytest.raises(BundleError, match="not signed"):
        Bundle.decode(bundle_of().encode(), [KEY.public])


def test_one_may_look_at_an_unsigned_one_and_it_says_so() -> None:
    assert not Bundle.decode(bundle_of().encode(), unsigned=True).trusted
    assert not Bundle.decode(FILE, [OTHER.public], unsigned=True).trusted
    assert Bundle.decode(FILE, [KEY.public], unsigned=True).trusted


def test_a_signature_of_another_content_does_not_hold() -> None:
    other = bundle_of(version="4")
    forged = Bundle(
        spec=other.spec, model=other.model, signer=KEY.public.id, signature=SIGNED.signature
    )
    for unsigned in (False, True):
        with pytest.raises(BundleError, match="does not hold"):
            Bundle.decode(forged.encode(), [KEY.public], unsigned=unsigned)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_beyond_ours_are_refused() -> None:
    for name in ("weights.bin", "manifest.json", "../model.onnx"):
        made = io.BytesIO(FILE)
        with zipfile.ZipFile(made, "a") as archive:
            archive.writestr(name, b"{}")
        with pytest.raises(BundleError, match="damaged"):
            Bundle.decode(made.getvalue(), [KEY.public])


def test_no_entry_tells_of_a_machine_or_a_time() -> None:
    with zipfile.ZipFile(io.BytesIO(FILE)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        spec = json.loads(archive.read("policy.json"))
    assert spec["observations"][0]["term"]["unit"] == "m"
    assert spec["actions"][0]["term"]["high"] == 1.5
    assert "rate_limit" not in spec["actions"][0]  # it is infinite, and that is its default


def test_infinite_limits_survive() -> None:
    free = Term(name="error")
    bundle = bundle_of(
        np.ones((1, 2), np.float32), observations=(ObservationSpec(term=free, max_age=1.0),)
    )
    found = Bundle.decode(bundle.sign(KEY).encode(), [KEY.public])
    assert found.spec.observations[0].term == free
    assert found.spec.actions[0].rate_limit == float("inf")


def test_keys_are_files_of_their_owner(tmp_path: Path) -> None:
    KEY.save(tmp_path / "a.key.pem")
    KEY.public.save(tmp_path / "a.pub.pem")
    assert stat.S_IMODE((tmp_path / "a.key.pem").stat().st_mode) == 0o600
    again = SigningKey.load(tmp_path / "a.key.pem")
    assert again.public.id == VerifyKey.load(tmp_path / "a.pub.pem").id == KEY.public.id
    assert [key.id for key in load_trusted([tmp_path])] == [KEY.public.id]
    with pytest.raises(BundleError, match="cannot be written"):
        OTHER.save(tmp_path / "a.key.pem")
    (tmp_path / "a.key.pem").chmod(0o640)
    with pytest.raises(BundleError, match="owner alone"):
        SigningKey.load(tmp_path / "a.key.pem")
    (tmp_path / "b").write_text("key")
    (tmp_path / "b").chmod(0o600)
    with pytest.raises(BundleError, match="no private key"):
        SigningKey.load(tmp_path / "b")
    with pytest.raises(BundleError, match="no public keys"):
        load_trusted([tmp_path.parent])


TERM = ACTIONS[0].term


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rate": 0.0}, "rate must be above 0 Hz"),
        ({"kind": "advice"}, "at most 1 Hz, got 10"),
        ({"history": 0}, "history"),
        ({"observations": ()}, "observations and actions"),
        ({"observations": (OBSERVATIONS[0], OBSERVATIONS[0])}, "names of terms"),
        ({"observations": (ObservationSpec(term=TERM, max_age=0.0),)}, "max_age of speed"),
        ({"observations": (ObservationSpec(term=TERM, max_age=float("inf")),)}, "finite"),
        ({"actions": (ActionSpec(term=TERM, stop=2.0),)}, r"stop of speed .* \[-0.3, 1.5\] m/s"),
        ({"actions": (ActionSpec(term=TERM, rate_limit=0.0),)}, "rate_limit of speed"),
        ({"fallback": Fallback(hold_time=-1.0)}, "hold_time"),
        ({"fallback": Fallback(resume=0)}, "resume"),
        ({"novelty": Novelty(mean=(0.0,))}, "novelty.mean"),
        ({"novelty": Novelty(mean=(0.0,) * 7)}, "novelty.precision"),
        ({"novelty": Novelty(low=(0.0,) * 7)}, "novelty.low"),
        ({"novelty": Novelty(low=(float("nan"),) * 7, high=(0.0,) * 7)}, "numbers of novelty"),
        ({"novelty": Novelty(threshold=0.0)}, "threshold"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        spec_of(**changes)


def test_a_file_with_a_spec_that_cannot_be_is_refused() -> None:
    bad = msgspec.json.decode(msgspec.json.encode(SIGNED.spec))
    assert bad["rate"] == 10.0
    with pytest.raises(BundleError):
        Bundle.decode(FILE.replace(b'"rate": 10.0', b'"rate": -1.0'), [KEY.public])
