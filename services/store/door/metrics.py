"""What the doors count. All of it is there at 0 from the start."""

from prometheus_client import Counter, Gauge

DOORS = ("imap", "pop3")

_SESSIONS = Gauge("understudy_mailbox_sessions", "Open sessions, by door", ["door"])
LOGINS_FAILED = Counter("understudy_logins_failed_total", "Names and passwords that were not let in, at all doors")

SESSIONS = {door: _SESSIONS.labels(door) for door in DOORS}
