"""The ``http`` sink: batches of rows, posted."""
