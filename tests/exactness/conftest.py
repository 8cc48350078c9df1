"""The emulator, for the tests of this folder: nothing under tests/ is on the module path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def emulator():
    spec = importlib.util.spec_from_file_location(
        "emulator", Path(__file__).with_name("emulator.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
