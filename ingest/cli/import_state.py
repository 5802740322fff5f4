"""What became of an import: kept in the hub's folder, so that the same command goes on where a crash has cut it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
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


class ImportFolder:
    """``imports/`` in the hub's folder: a state and a pipeline file of each import."""

    def __init__(self, data: Path, identity: str) -> None:
        self._folder = data / "imports"
        self._identity = identity

    def name(self, state: State) -> str:
        """Of the pipeline."""
        return f"import-{self._identity}-{state.number}"

    def pipeline_file(self, state: State) -> Path:
        """Where ``ingest status`` and ``ingest dead-letters`` find it."""
        return self._folder / f"{self.name(state)}.yaml"

    def read(self) -> State:
        """As it was left."""
        with suppress(FileNotFoundError):
            return State(**json.loads(self._path.read_text()))
        return State()

    def write(self, state: State) -> None:
        """On disk when it returns."""
        self._put(self._path, json.dumps(asdict(state)))

    def write_pipeline(self, state: State, text: str) -> Path:
        """The same."""
        self._put(self.pipeline_file(state), text)
        return self.pipeline_file(state)

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._identity}.json"

    def _put(self, path: Path, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f"{path.suffix}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


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
