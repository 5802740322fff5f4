"""One batch in, one batch out."""
