"""Reading MariaDB and MySQL."""
