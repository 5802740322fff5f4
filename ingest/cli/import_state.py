"""What became of an import, and of its targets."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ingest.errors import UsageError


@dataclass(frozen=True, slots=True)
class State:
    """``number`` counts the imports of this identity: each has positions, topics and manifests of its own.

    ``emptying`` says that the targets are being emptied: only then does the import begin.
    """

    number: int = 0
    phase: Literal["none", "emptying", "running", "done"] = "none"


def state_of(kept: Mapping[str, Any]) -> State:
    """As ``KeptCommand`` has it."""
    return State(**kept)


def begun(
    before: State, targets: Iterable[str], *, append: bool, delete: bool, incremental: bool, resume: bool
) -> State:
    """The state to go on with. Raises ``UsageError`` for a target that holds something, unless the command says what
    is to become of it, or it is of this very import."""
    if delete and not (resume and before.phase == "running"):
        return State(before.number + 1, "emptying")
    if before.phase in ("running", "emptying"):
        return before
    if before.phase == "done" and incremental:
        return replace(before, phase="running")
    full = next((target for target in targets if not is_empty(target)), None)
    if full is not None and not append:
        raise UsageError(
            f"{full} holds something already",
            hint="--append adds to it, --delete-target-dir empties it first",
        )
    return State(before.number + 1, "running")


def is_empty(target: str) -> bool:
    """Whether nothing is there, or an empty folder."""
    if "://" not in target:
        path = Path(target)
        if path.is_file():
            raise UsageError(f"{target} is a file")
        return not path.is_dir() or next(path.iterdir(), None) is None
    filesystem, path_there = _remote(target)
    return not filesystem.exists(path_there) or not filesystem.ls(path_there)


def empty(target: str) -> None:
    """Removes the folder and all that is in it."""
    if "://" not in target:
        folder = Path(target).resolve()
        if folder in (Path.home(), Path.cwd(), *Path.cwd().parents):
            raise UsageError(f"{target} is not emptied: too much may hang on it", hint="name another folder")
        if folder.is_dir():
            shutil.rmtree(folder)
        return
    filesystem, path_there = _remote(target)
    if filesystem.exists(path_there):
        filesystem.rm(path_there, recursive=True)


def _remote(target: str) -> tuple[Any, str]:
    import fsspec.core

    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(target)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{target} cannot be reached: {error}") from error
    return found
