"""What Alembic runs: migrations on the connection that it is handed, in one transaction."""

from alembic import context

__all__: list[str] = []

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
