"""Pipelines that commands make: of Sqoop's options, as texts that ``ingest run`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.cli.exit_codes import EXIT_DONE
from ingest.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.cli.talk import Talk

_NAMED = {"\\t": "\t", "\\b": "\b", "\\n": "\n", "\\r": "\r", "\\\\": "\\", "\\0": "\0", '\\"': '"', "\\'": "'"}


def save(talk: Talk, path: Path, default_name: str, make: Callable[[str], dict[str, Any]]) -> int:
    """Writes what ``make`` makes of a name, which is the file's; the exit code."""
    if path.exists():
        raise UsageError(f"{path} is there already", hint="name another file, or remove it")
    name = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in path.stem).strip("-_")
    path.write_text(as_yaml(make(name or default_name)), encoding="utf-8")
    talk.say(f"{path} is written; run it: ingest run {path} --until-caught-up")
    return EXIT_DONE


def as_yaml(pipeline: dict[str, Any]) -> str:
    """As a pipeline file has it."""
    import yaml

    return yaml.safe_dump(pipeline, sort_keys=False, allow_unicode=True, width=120)


def escaped(text: str | None) -> Any:
    """As it stands: no variable of a pipeline file."""
    return None if text is None else text.replace("${", "$${")


def escaped_in(value: Any) -> Any:
    """The same of all texts in settings."""
    if isinstance(value, dict):
        return {escaped(name): escaped_in(each) for name, each in value.items()}
    if isinstance(value, list):
        return [escaped_in(each) for each in value]
    return escaped(value) if isinstance(value, str) else value


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Without those that are None: they are as the connector has them by itself."""
    return {key: value for key, value in settings.items() if value is not None}


def located(place: str) -> str:
    """A folder from its root on; a URL as it is."""
    return place if "://" in place else str(Path(place).absolute())


def character(text: str) -> str:
    """``\\t``, ``\\001`` and ``\\0x01`` as Sqoop reads them."""
    if text in _NAMED:
        return _NAMED[text]
    for prefix, base in (("\\0x", 16), ("\\0", 8)):
        if text.startswith(prefix):
            try:
                return chr(int(text.removeprefix(prefix), base))
            except ValueError:
                break
    return text
