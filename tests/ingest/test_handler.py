"""What a letter becomes on the bus, and what is counted."""

import asyncio
from itertools import pairwise

from prometheus_client import generate_latest

from services.ingest import metrics, replies
from services.ingest.handler import PARTITION_SECONDS
from shared.events import Received
from shared.settings import Common, Ingest
from tests.dialogues.stage import kept, served
from tests.kit.scope import Scope
from tests.kit.sender import Outgoing, Sender

LETTER = b"Subject: x\r\n\r\nbody\r\n"


async def test_a_record_is_keyed_and_sized_and_its_event_id_derived(scope: Scope) -> None:
    async with served(scope.settings(Ingest, smtp_port=0)) as (_, port):
        sent = await Sender(port).send([Outgoing(LETTER, ("postmaster",))] * 20, connections=4)
    records = await kept(scope.settings(Common))
    assert sorted(record.key for record in records) == sorted(str(one.receipt_id) for one in sent)
    for record in records:
        facts = Received.from_json(record.headers["facts"])
        assert record.value is not None
        assert (facts.receipt_id, facts.size) == (record.key, len(record.value))
        assert facts.event_id == f"{record.key}.received"
        assert record.value.endswith(LETTER)
        assert f"id {record.key}".encode() in record.value


async def test_letters_stay_on_one_partition_for_a_while(scope: Scope) -> None:
    """One request to the broker then is one sync of its disk, not twelve."""
    async with served(scope.settings(Ingest, smtp_port=0)) as (_, port):
        loop = asyncio.get_running_loop()
        began = loop.time()
        await Sender(port).send([Outgoing(LETTER, ("postmaster",))] * 300, connections=10)
        slots = (loop.time() - began) / PARTITION_SECONDS + 2
    records = await kept(scope.settings(Common))
    changes = sum(a.partition != b.partition for a, b in pairwise(records))
    assert len(records) == 300
    # Two letters of one moment may change places on the way from their names to the bus.
    assert changes <= 3 * slots


def test_all_that_is_counted_is_there_from_the_start() -> None:
    shown = generate_latest().decode()
    for name in (
        "understudy_received_total",
        "understudy_final_reply_seconds_count",
        "understudy_ingest_connections",
        "understudy_ingest_memory_bytes",
        *(f'understudy_refused_total{{code="{code}"}}' for code in (421, 451, 452, 500, 501, 550, 552, 553, 554, 555)),
    ):
        assert f"\n{name} " in shown, name


def test_refusals_are_counted_by_code() -> None:
    before = generate_latest().decode()
    metrics.refused(replies.NO_SUCH_USER)
    after = generate_latest().decode()
    line = 'understudy_refused_total{code="550"} '
    assert _value(after, line) == _value(before, line) + 1


def _value(shown: str, line: str) -> float:
    return float(shown.split(line)[1].split("\n")[0])
