"""The pipelines in the guides of sources that listen, run and ask are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingest.cli.main import main

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
PIPELINES = [
    (guide, name, text)
    for guide in ("syslog", "commands-and-apis")
    for name, text in re.findall(r"```yaml\n# (\S+\.yaml)\n(.*?)```", (GUIDES / f"{guide}.md").read_text(), re.DOTALL)
]


@pytest.mark.parametrize(("guide", "name", "text"), PIPELINES, ids=[name for _, name, _ in PIPELINES])
def test_a_pipeline_of_a_guide_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guide: str, name: str, text: str
) -> None:
    monkeypatch.setenv("ORDERS_TOKEN", "t0ken")
    monkeypatch.setenv("ALERTS_TOKEN", "t0ken")
    monkeypatch.setenv("ALERTS_SECRET", "whsec_c2VjcmV0")
    (tmp_path / name).write_text(text)
    assert main(["validate", str(tmp_path / name)]) == 0
