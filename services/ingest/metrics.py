"""What ingest counts. All of it is there at 0 from the start."""

from prometheus_client import Counter, Gauge, Histogram

from services.ingest.replies import REFUSAL_CODES, Reply

RECEIVED = Counter("understudy_received_total", "Letters taken: answered 250")
_REFUSED = Counter("understudy_refused_total", "Replies that refused something, by code", ["code"])
FINAL_REPLY_SECONDS = Histogram(
    "understudy_final_reply_seconds",
    "From the end of a letter to our reply",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
)
CONNECTIONS = Gauge("understudy_ingest_connections", "Open SMTP sessions")
MEMORY_BYTES = Gauge("understudy_ingest_memory_bytes", "Letters in flight, as the budget reckons them")
RECIPIENTS = Gauge("understudy_ingest_recipients", "Addresses known to accept mail")
LOOKUPS = Counter("understudy_ingest_lookups_total", "Recipients that the database was asked for")

# A label's counter is looked up once: that costs more than counting.
_BY_CODE = {code: _REFUSED.labels(str(code)) for code in REFUSAL_CODES}


def refused(reply: Reply) -> None:
    _BY_CODE[reply.code].inc()
