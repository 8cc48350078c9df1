"""What is optional: imported where it is used, with a clear message where it is missing."""

from __future__ import annotations

import importlib
from types import ModuleType

_PACKAGES = {"PIL": "Pillow"}  # where it is not the name of the module


class MissingExtraError(ModuleNotFoundError):
    """An optional package is not installed: a thing to mend, not a bug."""


def need(module: str, extra: str) -> ModuleType:
    """Import a module that one of the package's extras brings.

    Raises
    ------
    ModuleNotFoundError
        Where it is missing: the message names the extra and the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != top:
            raise
        package = _PACKAGES.get(top, top)
        raise MissingExtraError(
            f"this needs {package}, which is not installed; pip install 'chainrule[{extra}]'",
            name=top,
        ) from None
