"""``ingest merge``: the newest row of each key, of a base and of what came later."""

from __future__ import annotations

from pathlib import Path

import click

from ingest.cli.exit_codes import named_on_command_line
from ingest.cli.talk import Talk
from ingest.errors import UsageError


@click.command()
@click.option("--new-data", required=True, metavar="DIR", help="The table of newer rows, by its folder or URL.")
@click.option("--onto", required=True, metavar="DIR", help="The table of older rows.")
@click.option("--merge-key", required=True, metavar="A[,B]", help="The columns that identify a row.")
@click.option("--newest-by", metavar="COLUMN", help="The greatest value is the newest row, whichever table it is in.")
@click.option(
    "--target-dir", required=True, type=click.Path(path_type=Path), help="A new folder, for the rows that remain."
)
@click.pass_obj
def merge(talk: Talk, new_data: str, onto: str, merge_key: str, newest_by: str | None, target_dir: Path) -> None:
    """Write the newest row of each key, of two tables of Parquet files, into a third.

    Without --newest-by a row of the new data is newer than one of the base, and a later one newer than an earlier.
    Rows that were deleted in the database stay: an import never sees them go. Memory is bounded, whatever the size.
    """
    from ingest.sinks.lake.reading import open_dataset
    from ingest.sinks.parquet.newest_rows import write_newest

    if target_dir.exists():
        raise UsageError(f"{target_dir} is there already", hint="name a folder that is not")
    key = [name.strip() for name in merge_key.split(",") if name.strip()]
    if not key:
        raise UsageError("--merge-key names no column")
    with named_on_command_line():
        base, new = open_dataset(onto, Path.cwd()), open_dataset(new_data, Path.cwd())
        of_base, of_new, rows = write_newest(base, new, key, newest_by, target_dir)
    talk.say(
        f"{rows:,} rows in {target_dir}, of {of_base:,} in the base and {of_new:,} new ones",
        rows=rows,
        base=of_base,
        new=of_new,
    )
