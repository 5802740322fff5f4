"""How a long-running command begins to use Arrow."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def start_arrow() -> None:
    """Loads pyarrow so that it holds no more memory than it uses, and without pandas.

    numpy comes with it, and its linear algebra would start a thread for each core, which spin for a while: nobody here
    multiplies matrices, and a function of the user's may have them by ``OPENBLAS_NUM_THREADS``.

    Arrow's own allocators keep what batches have used once; over a long run that is a third of the memory.
    The first ``pyarrow.array`` of a Python list imports pandas where it is installed, in case the list is a Series:
    half a second and 60 MB of which a pipeline has nothing. Where a function of the user's imports pandas, pyarrow
    is told.
    """
    with _one_thread_for_matrices():
        import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    if "pandas" not in sys.modules:
        finder = _PandasLater()
        sys.meta_path.insert(0, finder)
        pa.array([None])
        finder.hidden = False


@contextmanager
def _one_thread_for_matrices() -> Iterator[None]:
    """The library looks at the variable while it is loaded; programs that are started later do not get to see it."""
    if "OPENBLAS_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OPENBLAS_NUM_THREADS"]


class _PandasLater(MetaPathFinder):
    """Pandas is not there while ``hidden``; when it is imported afterwards, pyarrow looks for it again."""

    hidden = True

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != "pandas":
            return None
        if self.hidden:
            raise ModuleNotFoundError("not looked for", name=fullname)
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _AndThenPyarrow(spec.loader)
        return spec


class _AndThenPyarrow(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        import pyarrow as pa

        self._loader.exec_module(module)
        pa.lib._pandas_api.pd  # noqa: B018  having found none before, it looks again
