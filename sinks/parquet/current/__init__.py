"""The newest row of each key, kept by merging changes into the files of a table."""
