"""What the forwarder shows, by the names that dashboards stand on."""

from prometheus_client import Gauge

WAITING = Gauge("understudy_waiting_letters", "Letters that wait to be forwarded", ["destination"])
OLDEST = Gauge("understudy_oldest_waiting_seconds", "Age of the oldest of them", ["destination"])
UP = Gauge("understudy_destination_up", "Whether letters go to it: it is up, or recovering", ["destination"])
RECOVERY = Gauge(
    "understudy_recovery_seconds", "From its first answer after an outage to nothing waiting", ["destination"]
)
PLANNED = Gauge("understudy_planned_letters", "Letters planned in memory")
IN_HAND = Gauge("understudy_in_hand_letters", "Letters claimed and being sent")
