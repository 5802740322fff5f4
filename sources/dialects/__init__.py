"""Reading any database that SQLAlchemy has a dialect for."""
