"""``ingest schema``: the JSON Schema of pipeline files."""

from __future__ import annotations

import json

import click


@click.command()
def schema() -> None:
    """Print the JSON Schema of pipeline files, for editors.

    With a YAML language server, put this at the top of a pipeline file, and the file that you
    redirected the output to beside it:  # yaml-language-server: $schema=pipeline.schema.json
    """
    from ingest.pipelines.json_schema import pipeline_schema

    click.echo(json.dumps(pipeline_schema(), indent=2))
