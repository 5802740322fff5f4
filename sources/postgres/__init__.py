"""PostgreSQL as a source: what table imports and change capture share."""
