"""How MariaDB and MySQL compare text: byte by byte, as the other databases do."""

from __future__ import annotations

from sqlalchemy import Connection, text


def set_collation(connection: Connection) -> None:
    """On MariaDB and MySQL, make the tables to come compare text byte by byte."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        return
    mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
    wanted = "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin"
    if connection.scalar(text("SELECT @@collation_database")) != wanted:
        connection.execute(text(f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {wanted}"))
