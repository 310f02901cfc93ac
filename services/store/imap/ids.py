"""What a letter is called for programs that know it across folders (RFC 8474)."""

from services.store.folders.view import Row


def email_id(row: Row) -> str:
    """EMAILID: whose bytes a letter has. Its copies have the same. There is no THREADID."""
    return row.receipt_id
