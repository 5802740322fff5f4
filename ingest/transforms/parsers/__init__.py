"""From lines of text to columns: one module per format, all behind ``parser.Parser``."""
