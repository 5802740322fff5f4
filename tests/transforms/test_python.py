"""``python`` calls a function of the user's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from ingest.connectors import Records, Transformed
from ingest.connectors.testing import TransformContract
from ingest.errors import ConfigError, ConnectorError
from ingest.transforms.python import Python

MODULE = """
import pyarrow as pa
import pyarrow.compute as pc

def double(batch):
    return {"n": pc.multiply(batch["n"].cast(pa.int64()), 2)}

def odd(batch):
    rows = [row for row, n in enumerate(batch["n"].to_pylist()) if n % 2]
    return batch.take(rows), rows

def picky(batch):
    bad = {row: "too large" for row, n in enumerate(batch["n"].to_pylist()) if n > 9}
    rows = [row for row in range(batch.num_rows) if row not in bad]
    return batch.take(rows), rows, bad

def shout(batch):
    return pa.table({"value": pc.utf8_upper(batch["value"])})

def fewer(batch):
    return batch.slice(1)

def twice(batch):
    return batch.slice(0, 1).take([0, 0]), [0, 0]

def nothing(batch):
    return None

def typo(batch):
    return bacth

def leave(batch):
    import sys
    sys.exit(0)

def interrupt(batch):
    raise KeyboardInterrupt("mine")

number = 3
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("functions") / "functions.py"
    path.write_text(MODULE)
    return path


def call(module: Path, name: str, value: pa.Array) -> Transformed:
    return Python(Python.Settings(function=f"{module}:{name}")).apply(Records(value=value), {})


def rows(result: Transformed) -> list[object]:
    return [row for records in result.records for row in records.value.to_pylist()]


class TestPython(TransformContract):
    @pytest.fixture(autouse=True)
    def _module(self, module: Path) -> None:
        self.module = module

    def transform(self) -> Python:
        return Python(Python.Settings(function=f"{self.module}:double"))

    def good(self) -> pa.Array:
        return pa.array([{"n": "1"}, {"n": "2"}, {"n": "3"}])

    def bad(self) -> pa.Array:
        return pa.array([{"n": "x"}])


NUMBERS = pa.array([{"n": 1}, {"n": 2}, {"n": 13}])


def test_rows_can_be_left_out_and_refused(module: Path) -> None:
    assert rows(call(module, "odd", NUMBERS)) == [{"n": 1}, {"n": 13}]
    result = call(module, "picky", NUMBERS)
    assert rows(result) == [{"n": 1}, {"n": 2}]
    assert (result.rejected[0].rows.to_pylist(), result.rejected[0].reasons) == ([2], ["too large"])


def test_text_stays_text(module: Path) -> None:
    assert rows(call(module, "shout", pa.array(["a", None]))) == ["A", None]


def test_a_row_that_the_function_fails_for_is_refused_alone(module: Path) -> None:
    result = call(module, "double", pa.array([{"n": "1"}, {"n": "x"}, {"n": "3"}]))
    assert rows(result) == [{"n": 2}, {"n": 6}]
    assert result.rejected[0].rows.to_pylist() == [1]
    assert "ArrowInvalid: Failed to parse string: 'x'" in result.rejected[0].reasons[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fewer", "returned 2 rows for 3"),
        ("twice", "not different ones of the 3"),
        ("nothing", "returned NoneType"),
        ("typo", "NameError: name 'bacth'"),
    ],
)
def test_a_mistake_that_no_row_is_to_blame_for_stops_the_task(module: Path, name: str, words: str) -> None:
    with pytest.raises(ConnectorError, match=words):
        call(module, name, NUMBERS)


def test_a_relative_path_starts_at_the_pipeline_file(module: Path) -> None:
    settings = Python.Settings.model_validate({"function": "functions.py:odd"}, context={"base_folder": module.parent})
    assert rows(Python(settings).apply(Records(value=NUMBERS), {})) == [{"n": 1}, {"n": 13}]


def test_a_module_that_is_installed() -> None:
    assert Python(Python.Settings(function="operator:neg")) is not None


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("nowhere.py:f", "there is no file nowhere.py"),
        ("no_such_module:f", "cannot be loaded: ModuleNotFoundError"),
        ("operator:nope", "has no function nope"),
    ],
)
def test_a_function_that_is_not_there(function: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Python(Python.Settings(function=function))
    assert caught.value.facts["setting"] == "function"


def test_what_is_not_callable_and_what_does_not_load(module: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no function number"):
        Python(Python.Settings(function=f"{module}:number"))
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(ConfigError, match=r"ZeroDivisionError"):
        Python(Python.Settings(function=f"{tmp_path}/broken.py:f"))


@pytest.mark.parametrize("function", ["f", "module.f", ":f", "m:", "m:not-a-name"])
def test_a_function_is_written_with_a_colon(function: str) -> None:
    with pytest.raises(ValidationError, match="module:function"):
        Python.Settings(function=function)


def test_a_function_that_would_end_the_program_stops_the_task_and_is_named(module: Path) -> None:
    with pytest.raises(ConnectorError, match=r"tried to end the program: SystemExit: 0") as caught:
        call(module, "leave", pa.array([{"n": 1}, {"n": 2}]))
    assert f"{module}:leave" in caught.value.message
    assert caught.value.hint


def test_an_interrupt_of_its_own_making_in_a_task_is_an_error_like_that(module: Path) -> None:
    with ThreadPoolExecutor(1) as thread, pytest.raises(ConnectorError, match="KeyboardInterrupt: mine"):
        thread.submit(call, module, "interrupt", pa.array([{"n": 1}])).result()


def test_ctrl_c_is_still_that_of_the_user(module: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        call(module, "interrupt", pa.array([{"n": 1}]))


def test_a_module_that_would_end_the_program_when_it_is_loaded_is_an_error_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "leaves.py"
    path.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(ConfigError, match=r"leaves\.py tried to end the program when it was loaded: SystemExit: 3"):
        Python(Python.Settings(function=f"{path}:f"))
