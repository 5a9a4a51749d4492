"""Where the example plant lies: in the source tree, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

from stagetwin._errors import StageError

__all__ = ["factory_folder"]


def factory_folder() -> Path:
    """Return the folder of the example plant.

    The source tree goes first: an editable install may have left an old copy behind.

    Raises:
        StageError: there is none.
    """
    package = Path(__file__).resolve().parent
    places = (package.parent / "factory", package / "factory")
    for folder in places:
        if (folder / "factory.usda").is_file():
            return folder
    looked = " and ".join(str(place) for place in places)
    raise StageError(f"the example plant is not here; looked in {looked}")
