"""What this server can do, as CAPABILITY and ENABLE tell it. Pure."""

# RFC 9051 and 3501; RFC 7888, 4959, 2971, 5161, 2177.
ALWAYS = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE", "IDLE")
# RFC 4315, 6851, 6154, 5258, 5819, 2342, 3691, 3348, 8438, 3516, 3502, 4731, 5182, 6855, 7162, 8474, 9208, 5032.
LOGGED_IN = (
    *("UIDPLUS", "MOVE", "SPECIAL-USE", "CREATE-SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS", "NAMESPACE", "UNSELECT"),
    *("CHILDREN", "STATUS=SIZE", "BINARY", "MULTIAPPEND", "ESEARCH", "SEARCHRES", "UTF8=ACCEPT", "CONDSTORE"),
    *("QRESYNC", "OBJECTID", "QUOTA", "QUOTA=RES-STORAGE", "WITHIN"),
)
ENABLED = frozenset(("IMAP4REV2", "UTF8=ACCEPT", "CONDSTORE", "QRESYNC"))
_AUTH = ("AUTH=PLAIN", "AUTH=LOGIN")


def before_login(*, can_start_tls: bool, is_private: bool) -> str:
    """`is_private`: a password may be said (RFC 9051 section 6.2.3)."""
    starting = ("STARTTLS",) if can_start_tls else ()
    return " ".join((*ALWAYS, *starting, *(_AUTH if is_private else ("LOGINDISABLED",))))


def after_login(append_limit: int) -> str:
    return " ".join((*ALWAYS, *LOGGED_IN, f"APPENDLIMIT={append_limit}"))
