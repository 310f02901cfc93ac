"""Where our POP3 and Dovecot's may differ, each with its reason; as tests/store/imap/oracle/differences.py."""

from tests.store.imap.oracle.differences import EVERYWHERE, Accepted

ACCEPTED = [
    *EVERYWHERE,
    Accepted(
        "neither tells all that the other tells of itself",
        ours=r"CAPA (EXPIRE|IMPLEMENTATION|LOGIN-DELAY|UTF8|LANG).*",
        theirs=r"CAPA CAPA",
        step="^CAPA",
    ),
    Accepted("nothing of a login is told once it is done", ours="CAPA (SASL PLAIN LOGIN|USER)", step="^CAPA"),
    Accepted("NUL is in no command", script="hostile", step=r"^\+OK$", ours="-ERR", theirs=r"\+OK"),
    Accepted("USER has a name", script="login", step="^USER$", ours="-ERR", theirs=r"\+OK"),
    Accepted("only a wrong password is a failed login", script="login", step="^(PASS|AUTH)", theirs=r"\[AUTH\]"),
    Accepted("more lines than there are are all lines", script="numbers", step="^TOP 1 9", ours=".*", theirs="-ERR"),
    Accepted("STAT, NOOP and RSET have no argument", script="numbers", step=" x$", ours="-ERR", theirs=r"\+OK|STAT .*"),
]
