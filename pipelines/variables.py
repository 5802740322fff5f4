"""``${VAR}``, ``${VAR:-default}`` and ``${file:/run/secrets/x}`` in the scalars of a parsed file.

``$${`` writes a literal ``${``. A substituted text is never parsed as YAML again, so a secret cannot
change the structure of a pipeline.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ingest.errors import ConfigError

_VARIABLE = re.compile(r"\$(\$\{)|\$\{([^}]*)\}")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
MAX_SECRET_BYTES = 1024 * 1024


def substitute(text: str, variables: Mapping[str, str] | None = None) -> str:
    """Replaces the variables of ``text``; raises ``ConfigError`` for one that is not set."""
    known = os.environ if variables is None else variables

    def value_of(match: re.Match[str]) -> str:
        if match.group(1):
            return "${"
        return _resolve(match.group(2), known)

    return _VARIABLE.sub(value_of, text)


def _resolve(expression: str, known: Mapping[str, str]) -> str:
    if expression.startswith("file:"):
        return _file(expression.removeprefix("file:"))
    name, separator, default = expression.partition(":-")
    if not _NAME.match(name):
        raise ConfigError(
            f"${{{expression}}} is no variable",
            hint="write ${NAME}, ${NAME:-default} or ${file:/path}; $${ writes a literal ${",
        )
    value = known.get(name)
    if value:
        return value
    if separator:
        return default
    if value is None:
        raise ConfigError(
            f"the variable {name} is not set", hint=f"export {name}=..., or give a default: ${{{name}:-...}}"
        )
    return value


def _file(name: str) -> str:
    path = Path(name)
    try:
        if path.stat().st_size > MAX_SECRET_BYTES:
            raise ConfigError(f"the file {name} is larger than {MAX_SECRET_BYTES} bytes")
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"the file {name} cannot be read: {reason}") from error
