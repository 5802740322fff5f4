"""Tables of files: commits by manifest, on any store. What the file formats of sinks share."""
