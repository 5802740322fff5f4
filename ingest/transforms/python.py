"""``python``: a function of the user's, from columns to columns."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, ValidationInfo, field_validator

from ingest.config import Settings
from ingest.connectors import Records, State, Transform, Transformed
from ingest.errors import ConfigError, ConnectorError
from ingest.transforms.columns import with_columns
from ingest.transforms.refusals import Refusals

ERROR = "FunctionFailed"
_QUIT = "tried to end the program"
_QUIT_HINT = "a function returns or raises; it must not call sys.exit"
_NO_ROWS_FAULT = (NameError, ImportError, SyntaxError, NotImplementedError)


class PythonSettings(Settings):
    """Settings of ``python``."""

    function: str = Field(
        description="`package.module:function`, or `path/to/file.py:function`; a relative path starts at the "
        "pipeline file. Called with a `pyarrow.RecordBatch` of the value's columns (text has the one column `value`). "
        "It returns a batch of as many rows, or `(batch, rows)` where `rows` are the numbers of the input's rows that "
        "are kept, or `(batch, rows, {row: reason})` to refuse some."
    )

    @field_validator("function")
    @classmethod
    def _resolved(cls, value: str, info: ValidationInfo) -> str:
        place, colon, name = value.rpartition(":")
        if not colon or not place or not name.isidentifier():
            raise ValueError("write module:function, or file.py:function")
        if place.endswith(".py") and info.context is not None:
            place = str(Path(info.context.get("base_folder", ".")) / place)
        return f"{place}:{name}"


class Python(Transform):
    """Calls a Python function of your own on the columns.

    A row for which the function raises is refused alone; the function is called again for the others. So it
    should depend on nothing but its columns. A mistake that no row is to blame for (a name that does not exist, a
    result of the wrong shape) stops the task.
    """

    Settings = PythonSettings
    reads_headers = False

    def __init__(self, settings: PythonSettings) -> None:
        self._name = settings.function
        self._function = _load(settings.function)

    def apply(self, records: Records, state: State) -> Transformed:
        plain = not pa.types.is_struct(records.value.type)
        outcome = _Outcome()
        self._call(records.columns(), 0, outcome)
        made = [self._records(records, rows, batch, plain) for rows, batch in outcome.pieces if len(rows)]
        return Transformed(made, outcome.refusals.rejected(ERROR))

    def _call(self, batch: pa.RecordBatch, start: int, outcome: _Outcome) -> None:
        """Calls for the rows from ``start`` on, and for halves of them where it raises."""
        try:
            result = self._function(batch)
        except _NO_ROWS_FAULT as error:
            raise ConnectorError(f"{self._name}: {_described(error)}") from error
        except Exception as error:
            if batch.num_rows == 1:
                outcome.refusals.add([start], [f"{self._name}: {_described(error)}"])
                return
            half = batch.num_rows // 2
            self._call(batch.slice(0, half), start, outcome)
            self._call(batch.slice(half), start + half, outcome)
            return
        except BaseException as error:  # SystemExit and its like would end more than this function
            raise self._quit(error) from error
        made, rows, reasons = self._checked(result, batch.num_rows)
        outcome.pieces.append((rows + start, made))
        outcome.refusals.add([row + start for row in reasons], list(reasons.values()))

    def _quit(self, error: BaseException) -> BaseException:
        if _asked_for(error):
            return error
        code = getattr(self._function, "__code__", None)
        place = f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else ""
        return ConnectorError(f"{self._name}{place} {_QUIT}: {_described(error)}", hint=_QUIT_HINT)

    def _checked(self, result: Any, count: int) -> tuple[pa.RecordBatch, np.ndarray, dict[int, str]]:
        """What the function returned, as batch, rows kept, rows refused. Raises ``ConnectorError``."""
        rows: np.ndarray = np.arange(count)
        reasons: dict[int, str] = {}
        selected = isinstance(result, tuple) and len(result) in (2, 3)
        if selected:
            rows = np.asarray(result[1] if not isinstance(result[1], pa.ChunkedArray) else result[1].combine_chunks())
            reasons = dict(result[2]) if len(result) == 3 else {}
            result = result[0]
        batch = self._batch(result)
        rows = rows.astype(np.int64) if len(rows) else np.zeros(0, np.int64)
        seen = np.concatenate([rows, np.array(list(reasons), dtype=np.int64)])
        if len(seen) and (seen.min() < 0 or seen.max() >= count or len(np.unique(seen)) != len(seen)):
            raise ConnectorError(f"{self._name} returned rows that are not different ones of the {count} it got")
        if batch.num_rows != len(rows):
            hint = None if selected else "to leave rows out, return (batch, numbers of the rows that are kept)"
            raise ConnectorError(f"{self._name} returned {batch.num_rows} rows for {len(rows)}", hint=hint)
        return batch, rows, reasons

    def _batch(self, result: Any) -> pa.RecordBatch:
        if isinstance(result, dict):
            result = pa.table(result)
        if isinstance(result, pa.Table):
            columns = [column.combine_chunks() for column in result.columns]
            columns = [each.combine_chunks() if isinstance(each, pa.ChunkedArray) else each for each in columns]
            return pa.RecordBatch.from_arrays(columns, schema=result.schema)
        if not isinstance(result, pa.RecordBatch):
            hint = "return a pyarrow.RecordBatch, a pyarrow.Table, or a dict of columns"
            raise ConnectorError(f"{self._name} returned {type(result).__name__}", hint=hint)
        return result

    def _records(self, records: Records, rows: np.ndarray, batch: pa.RecordBatch, plain: bool) -> Records:
        whole = len(rows) == len(records) and bool((np.diff(rows) == 1).all())
        kept = records if whole else records.take(pa.array(rows))
        if plain and batch.schema.names == ["value"]:
            return kept.with_value(batch.column(0))
        return with_columns(kept, batch)


@dataclass(slots=True)
class _Outcome:
    pieces: list[tuple[np.ndarray, pa.RecordBatch]] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)


def _load(function: str) -> Callable[[pa.RecordBatch], Any]:
    place, _, name = function.rpartition(":")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except FileNotFoundError as error:
        raise ConfigError(f"function: there is no file {place}", setting="function") from error
    except Exception as error:  # whatever the user's module raises when it is imported
        raise ConfigError(f"function: {place} cannot be loaded: {_described(error)}", setting="function") from error
    except BaseException as error:
        if _asked_for(error):
            raise
        told = f"function: {place} {_QUIT} when it was loaded: {_described(error)}"
        raise ConfigError(told, hint=_QUIT_HINT, setting="function") from error
    found = getattr(module, name, None)
    if not callable(found):
        raise ConfigError(f"function: {place} has no function {name}", setting="function")
    return found  # type: ignore[no-any-return]


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"ingest_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _asked_for(error: BaseException) -> bool:
    """Whether it is the user's Ctrl-C, which reaches the main thread only."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
