"""The example of the guide "write your own connector" runs as printed, and passes the contract suites."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "write-your-own-connector.md"


def blocks(language: str) -> list[str]:
    """The fenced blocks of the guide in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


def load(source: str) -> types.ModuleType:
    """Runs one block as the module that its first line names."""
    name = source.splitlines()[0].removeprefix("# ").removesuffix(".py")
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"{GUIDE.name}:{name}", "exec"), module.__dict__)
    return module


MODULES = {module.__name__: module for module in map(load, blocks("python"))}

TestNotesSource = MODULES["test_notes"].TestNotesSource
TestShorten = MODULES["test_notes"].TestShorten
TestTableSink = MODULES["test_notes"].TestTableSink
