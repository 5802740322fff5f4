"""``ingest completion``: a shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ingest.errors import UsageError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    bash: echo 'eval "$(ingest completion bash)"' >> ~/.bashrc
    """
    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"no completion for {shell}")
    click.echo(found(ctx.find_root().command, {}, "ingest", "_INGEST_COMPLETE").source())
