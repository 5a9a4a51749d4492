"""The viewer's picture in a real browser: what is drawn is the stage, and what is picked the prim."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exts_web_viewing import Site, load, looking  # type: ignore[import-not-found]
