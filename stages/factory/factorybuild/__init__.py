"""Makes the example plant: parameters in, USD layers out.

Reads like a table of contents: `_parameters` parses the page of parameters, `_interfaces` turns
signals and commands into class prims, `_*_assets` draw the machines, `_layout` places them,
`_site` authors what one site changes, `_pump_station` draws the recorded test bed.
"""

from ._parameters import Parameters, load_parameters
from ._plant import build_plant

__all__ = ["Parameters", "build_plant", "load_parameters"]
