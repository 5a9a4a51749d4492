"""stagetwin: the USD stage is the twin.

Importing the package registers its schema, which must happen before USD builds its schema
registry; `stagetwin check` says if that came too late.
"""

from stagetwin._schema import register as _register

_register()
