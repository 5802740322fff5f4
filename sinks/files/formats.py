"""From the setting ``format`` to what it means."""

from __future__ import annotations

from ingest.sinks.files.settings import FilesSettings
from ingest.sinks.lake.file_format import FileFormat


def file_format(settings: FilesSettings) -> FileFormat:
    """Imports what the format needs, and nothing else."""
    if settings.format == "lines":
        from ingest.sinks.files.text_lines import TextLines

        return TextLines(settings)
    if settings.format == "csv":
        from ingest.sinks.files.csv_rows import CsvRows

        return CsvRows(settings)
    if settings.format == "delimited":
        from ingest.sinks.files.delimited import Delimited

        return Delimited(settings)
    if settings.format == "avro":
        from ingest.sinks.files.avro_files import AvroFiles

        return AvroFiles(settings)
    from ingest.sinks.files.json_lines import JsonLines

    return JsonLines(settings)
