"""Links into a twin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import ReviewError
from stagetwin.identifiers import uuid7
from stagetwin.reviews import Permalink, Viewpoint, parse_permalink, permalink

_NUMBERS = st.floats(-1e6, 1e6, width=32)
_POINTS = st.tuples(_NUMBERS, _NUMBERS, _NUMBERS)
_CAMERAS = st.builds(Viewpoint, _POINTS, _POINTS, _POINTS, st.floats(1, 170, width=32))


@given(
    st.builds(
        Permalink,
        st.just("") | st.builds(uuid7),
        st.sampled_from(["", "/World", "/World/P101/Handle", "/W\u00e4rme"]),
        st.none() | _CAMERAS,
    )
)
def test_links_lead_where_they_were_made_for(link: Permalink) -> None:
    text = permalink(link, "https://twin.example/view?old=1#x")
    assert text.startswith("https://twin.example/view?")
    assert "old" not in text
    back = parse_permalink(text)
    assert (back.topic, back.prim) == (link.topic, link.prim)
    if link.camera is None:
        assert back.camera is None
    else:
        assert back.camera is not None
        for name in ("position", "target", "up"):
            assert getattr(back.camera, name) == pytest.approx(getattr(link.camera, name), rel=1e-8)
        assert back.camera.fov == pytest.approx(link.camera.fov)


def test_link_is_readable() -> None:
    assert permalink(Permalink(prim="/World/P101")) == "?prim=/World/P101"
    view = Viewpoint((1, 2, 3), (0, 0, 0), (0, 0, 1), 45)
    assert permalink(Permalink(camera=view)) == "?camera=1,2,3,0,0,0,0,0,1,45"


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("?topic=1", "UUID"),
        ("?topic=<script>", "UUID"),
        ("?prim=World", "path of a prim"),
        ("?prim=/a/../b", "path of a prim"),
        ("?camera=1,2", "10 numbers"),
        ("?camera=1,2,3,0,0,0,0,0,1,nan", "10 numbers"),
        ("?camera=1,2,3,0,0,0,0,0,1,400", "field of view"),
        ("?" + "x" * 5000, "4000"),
        ("?" + "&".join(f"a{n}=1" for n in range(30)), "no link"),
    ],
)
def test_links_that_lead_nowhere_are_refused(link: str, why: str) -> None:
    with pytest.raises(ReviewError, match=why):
        parse_permalink(link)
