"""SQL expressions: what is refused when a pipeline is loaded, and what a row gets."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingest.connectors import TIMESTAMP, Records
from ingest.errors import ConfigError, RecordRefused
from ingest.transforms.sql import Evaluated, Expression, Expressions
from ingest.transforms.sql_rows import is_failure

ROWS = pa.array(
    [{"status": 200, "path": "/a", "Mixed": "x"}, {"status": 404, "path": "7", "Mixed": None}, None],
    pa.struct([("status", pa.int32()), ("path", pa.string()), ("Mixed", pa.string())]),
)


def evaluate(sql: str, value: pa.Array = ROWS, **columns: object) -> Evaluated:
    return Expression(sql, "where").rows(Records(value=value, **columns))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("status >= 400", [False, True, None]),
        ("status >= 400 AND path <> ''", [False, True, None]),
        ("coalesce(status, 0) + 1", [201, 405, 1]),
        ("UPPER(path)", ["/A", "7", None]),
        ("Mixed", ["x", None, None]),
        ('"Mixed" IS NULL', [False, True, True]),
        ("CASE WHEN status < 300 THEN 'ok' ELSE 'bad' END", ["ok", "bad", "bad"]),
        ("path LIKE '/%' OR path IN ('7')", [True, True, None]),
        ("status BETWEEN 200 AND 299", [True, False, None]),
        ("try_cast(path AS bigint)", [None, 7, None]),
        ("(NOT (status = 200)) IS TRUE", [False, True, False]),
        ("1", [1, 1, 1]),
        ("path /* the path */ -- of the request", ["/a", "7", None]),
    ],
)
def test_an_expression_gives_one_value_a_row(sql: str, values: list[object]) -> None:
    found = evaluate(sql)
    assert found.rejected == ()
    assert found.column.to_pylist() == values


def test_text_stays_plain_text() -> None:
    assert evaluate("cast(status AS varchar) || path").column.type == pa.string()


def test_the_records_own_columns_can_be_named() -> None:
    found = Expressions(["topic", '"partition"', "offset", "timestamp"], "columns").evaluate(
        Records(
            value=ROWS,
            topic="access",
            partition=3,
            offsets=pa.array([5, 6, 7]),
            timestamp=pa.array([1, 2, None], pa.int64()).cast(TIMESTAMP),
        )
    )
    assert [column.to_pylist()[0] for column in found.columns[:3]] == ["access", 3, 5]
    assert found.columns[3].cast(pa.int64()).to_pylist() == [1, 2, None]


def test_what_a_source_does_not_know_yet_is_null() -> None:
    found = Expressions(['"partition"', "offset", "timestamp"], "columns").evaluate(Records(value=ROWS))
    assert [column.to_pylist() for column in found.columns] == [[None] * 3] * 3


def test_a_column_of_the_value_wins_over_the_records() -> None:
    assert evaluate("topic", pa.array([{"topic": "mine"}]), topic="theirs").column.to_pylist() == ["mine"]


def test_a_value_that_is_no_struct_is_the_one_column_value() -> None:
    assert evaluate("length(value)", pa.array(["abc", None])).column.to_pylist() == [3, None]


def test_names_with_dots_stand_in_quotes_and_fields_of_structs_do_not() -> None:
    assert evaluate('"id.orig_h"', pa.array([{"id.orig_h": "::1"}])).column.to_pylist() == ["::1"]
    assert evaluate("agent.name", pa.array([{"agent": {"name": "eve"}}])).column.to_pylist() == ["eve"]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", "is empty"),
        ("status >", "Expected: an expression"),
        ("status = 'x", "Unterminated string literal"),
        ("nosuch(status)", "Invalid function 'nosuch'"),
        ("status; DROP TABLE x", "Expected: end of expression"),
        ("count(*)", "an aggregate"),
        ("status > max(status)", "an aggregate"),
        ("CASE WHEN true THEN sum(status) END", "an aggregate"),
        ("row_number() OVER ()", "a window function"),
        ("(SELECT 1)", "a subquery"),
        ("status IN (SELECT 1)", "a subquery"),
        ("EXISTS (SELECT 1)", "a subquery"),
        ("unnest([1, 2])", "unnest"),
        ("status = $1", "a placeholder"),
        ("\0", "no SQL"),
        ("(" * 5000, "nested too deeply"),
    ],
)
def test_sql_that_can_never_work_is_refused_at_once_and_blames_its_setting(sql: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^where: .*{words}") as caught:
        Expression(sql, "where")
    assert caught.value.facts["setting"] == "where"


def test_a_select_statement_is_no_expression() -> None:
    with pytest.raises(ConfigError, match="the expression alone"):
        Expression("SELECT status", "where")


def test_a_deep_but_flat_expression_works() -> None:
    sql = " OR ".join(f"status = {number}" for number in range(300))
    assert evaluate(sql).column.to_pylist() == [True, False, None]


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("statsu = 1", "did you mean status"),
        ("STATUS = 1", "did you mean status"),
        ("mixed = 'x'", "did you mean Mixed"),
        ("zzz = 1", "the columns are status, path, Mixed"),
    ],
)
def test_a_column_that_is_not_there_is_the_pipelines_mistake(sql: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="there is no column") as caught:
        evaluate(sql)
    assert hint in str(caught.value.hint)


def test_a_pattern_that_is_none_is_the_pipelines_mistake() -> None:
    with pytest.raises(ConfigError, match=r"^where: .*regex parse error: \(\( .*unclosed group"):
        evaluate("path ~ '(('")


def test_a_panic_of_the_engine_is_a_failure_and_an_interrupt_is_none() -> None:
    panic = type("PanicException", (BaseException,), {})
    assert is_failure(panic("byte array offset overflow"))
    assert not is_failure(KeyboardInterrupt())


def test_types_that_do_not_go_together_are_the_pipelines_mistake() -> None:
    with pytest.raises(ConfigError, match=r"^where: "):
        evaluate("status + [1]")


@pytest.mark.parametrize("count", [3, 256, 257, 1000])
def test_a_row_that_fails_is_rejected_alone(count: int) -> None:
    values = [str(number) for number in range(count)]
    values[1] = "x"
    values[-1] = "y"
    found = evaluate("cast(text AS int)", pa.array([{"text": value} for value in values]))
    assert [rejected.rows.to_pylist() for rejected in found.rejected] == [[1, count - 1]]
    assert "'x'" in found.rejected[0].reasons[0]
    assert found.column.to_pylist() == [None if number in (1, count - 1) else number for number in range(count)]


def test_division_by_zero_rejects_its_row() -> None:
    found = evaluate("10 / n", pa.array([{"n": 0}, {"n": 5}]))
    assert found.rejected[0].reasons == ["Divide by zero error"]
    assert found.column.to_pylist() == [None, 2]


def test_an_expression_that_fails_for_every_row_rejects_every_row() -> None:
    found = evaluate("1 / 0", pa.array([{"n": 0}, {"n": 5}]))
    assert found.rejected[0].rows.to_pylist() == [0, 1]


def test_a_key_that_cannot_be_made_raises() -> None:
    with pytest.raises(RecordRefused, match="key: row 1 of a batch: Divide by zero"):
        Expression("10 / n").evaluate(Records(value=pa.array([{"n": 5}, {"n": 0}])))


def test_a_new_schema_gets_a_new_plan() -> None:
    expression = Expression("x + 1", "where")
    for value in (pa.array([{"x": 1}]), pa.array([{"x": 1.5}]), pa.array([{"y": 0, "x": 1}])):
        assert expression.rows(Records(value=value)).column.to_pylist() == [value[0].as_py()["x"] + 1]


def test_nothing_is_left_behind_in_the_session() -> None:
    from ingest.transforms.sql_check import session

    evaluate("10 / n", pa.array([{"n": 0}, {"n": 5}]))
    assert session().catalog().schema().names() == set()
