"""What Alembic runs for a command: the migrations, on the connection that it was given."""

from alembic import context

from palpo.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
