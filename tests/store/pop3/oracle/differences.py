"""Where our POP3 and Dovecot's may differ, each with its reason; as tests/store/imap/oracle/differences.py."""

from tests.store.imap.oracle.differences import DOVECOT, OURS, Accepted

ACCEPTED = [
    Accepted(OURS, r"CAPA (EXPIRE|IMPLEMENTATION|LOGIN-DELAY|UTF8|LANG).*", "what Dovecot does not tell of itself"),
    Accepted(DOVECOT, r"CAPA SASL PLAIN LOGIN", "the order is the server's", script=""),
]
