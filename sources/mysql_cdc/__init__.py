"""The source ``mysql_cdc``: the changes of MariaDB and MySQL tables, from the server's binlog."""
