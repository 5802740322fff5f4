"""What all sources that read a database share."""
