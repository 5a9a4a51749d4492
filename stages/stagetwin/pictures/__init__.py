"""Pictures: stills of a stage, drawn without a GPU by the viewer itself in a headless browser."""

from stagetwin.pictures._draw import picture
from stagetwin.pictures._request import SIDES, Camera, PictureRequest, Section, Viewpoint

__all__ = ["SIDES", "Camera", "PictureRequest", "Section", "Viewpoint", "picture"]
