"""Values in and out of plain data: one strict converter, and all faults at once.

cattrs by itself is lenient (``"no"`` becomes ``True``, ``0.5`` becomes ``0``, ``"abc"`` becomes a
list of letters) and its messages speak Python.
Here nothing is coerced, unknown keys are faults, and each fault names its path, what was found,
what is legal, and the nearest known name.
"""

from infometis_sdk._serde.canonical import dumps_json
from infometis_sdk._serde.misfit import MisfitError, nearest, shown, unknown_key
from infometis_sdk._serde.structuring import structure, unstructure

__all__ = (
    "MisfitError",
    "dumps_json",
    "nearest",
    "shown",
    "structure",
    "unknown_key",
    "unstructure",
)
