"""Small files of a table merged into large ones, while others write and read."""
