"""Changes of the tables of the registry, oldest first; Alembic runs them."""
