"""Builds the compiled kernels where there is a C compiler; without one the numpy twins run."""

from __future__ import annotations

from pathlib import Path

from setuptools import Extension, setup

KERNELS = {
    f"{package}.{path.parent.name}.{path.stem}": str(path)
    for folder, package in (("ingest", "ingest"), ("sources", "ingest.sources"))
    for path in sorted(Path(folder).glob("*/_*.pyx"))
    if not path.parent.is_symlink()
}


def extensions() -> list[Extension]:
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    modules = [Extension(name, [path], extra_compile_args=["-O3"], optional=True) for name, path in KERNELS.items()]
    return cythonize(modules, language_level=3, build_dir="build/cython") if modules else []


setup(ext_modules=extensions())
