"""Everything is killed or stands still at random while letters come in, go out and are deleted: none is lost, none is
sent after its delete was answered `cancelled`, and each that came twice is explained by a try of unknown result.

make campaign NAME=ledger
"""

import asyncio
import random
import sys
import time
from collections import Counter

from rich.table import Table

from deploy.local.server import Server
from tests.campaigns.stage import ANN, Rows, Stage, of_rows, play, set_up
from tests.kit.sender import Outgoing, letter
from tests.kit.system import System

FORWARDERS = ("forwarder", "forwarder-2")
# Forwarders are named twice: theirs are the faults that could send a letter twice.
VICTIMS = ("ingest", "store", "pruner", *FORWARDERS, *FORWARDERS, "kafka", "mongod")
# Claims of the dead are taken over within the run, and what was left untold is found.
SHORTENED = {"forwarder_lease_seconds": 6, "reconcile_seconds": 5}
SENDERS = 40
PAUSE_SECONDS = (1.0, 5.0)
# Long enough for a frozen forwarder's lease and a frozen broker's deadlines, now and then for a member's session.
FROZEN_SECONDS = (0.5, 20.0)
DEAD_SECONDS = (0.0, 3.0)
READY_SECONDS = 120.0
SETTLE_SECONDS = 300.0
DELETE_EACH_SECONDS = 0.5


class Faults:
    """Kills and freezes one thing at a time, and counts what it did."""

    def __init__(self, stage: Stage, frozen_seconds: tuple[float, float]) -> None:
        self._stage = stage
        self._frozen_seconds = frozen_seconds
        self._harmed = ""
        self.done: Counter[str] = Counter()

    async def rage(self, stop: asyncio.Event, *, least: int) -> None:
        """Until `stop`, and until there were `least` faults; afterwards everything runs."""
        while not stop.is_set() or self.done.total() < least:
            victim, frozen = random.choice(VICTIMS), random.random() < 0.5
            deed, self._harmed = self._freeze if frozen else self._kill, victim
            await deed(victim)
            self._harmed = ""
            self.done[f"{victim} {'frozen' if frozen else 'killed'}"] += 1
            print(f"{len(self._stage.system.sender.sent)} letters tried, {self.done.total()} faults", file=sys.stderr)
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))

    def _server(self, victim: str) -> Server | None:
        servers = self._stage.servers
        return {"kafka": servers.kafka, "mongod": servers.mongod}.get(victim)

    async def _kill(self, victim: str) -> None:
        server, system = self._server(victim), self._stage.system
        if server is not None:
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(random.uniform(*DEAD_SECONDS))
            await asyncio.to_thread(server.start)
            return
        system.process(victim).kill()
        await asyncio.sleep(random.uniform(*DEAD_SECONDS))
        system.launch(victim)

    async def _freeze(self, victim: str) -> None:
        server, seconds = self._server(victim), random.uniform(*self._frozen_seconds)
        if server is not None:
            await asyncio.to_thread(server.pause)
            await asyncio.sleep(seconds)
            server.resume()
            return
        process = self._stage.system.process(victim)
        self._start_again(victim)
        await asyncio.to_thread(process.freeze)
        await asyncio.sleep(seconds)
        process.thaw()

    def _start_again(self, victim: str) -> None:
        """A service may give up while a server that it needs is away."""
        if self._stage.system.process(victim).exit_code is not None:
            self._stage.system.launch(victim)

    async def mend(self, stop: asyncio.Event) -> None:
        """As a supervisor: who has ended is started again."""
        while not stop.is_set():
            await asyncio.sleep(1)
            for victim in set(VICTIMS) - {"kafka", "mongod", self._harmed}:
                self._start_again(victim)


async def nothing_is_lost(
    stage: Stage, *, number: int, faults: int = 0, frozen_seconds: tuple[float, float] = FROZEN_SECONDS
) -> Rows:
    """`number` letters, and at least so many faults. Fails where the ledger finds a letter that is nowhere, one that
    was sent in spite of its delete, or one sent twice without a try of unknown result."""
    system, raging, began = stage.system, Faults(stage, frozen_seconds), time.monotonic()
    await system.start("forwarder-2")
    sent, over = asyncio.Event(), asyncio.Event()
    others = [asyncio.ensure_future(work) for work in (_delete(system, sent), raging.mend(over))]
    fury = asyncio.ensure_future(raging.rage(sent, least=faults))
    try:
        await _send(system, number)
        sent.set()
        await fury
        for name in dict.fromkeys(VICTIMS[:5]):
            await system.process(name).becomes_ready(READY_SECONDS)
        await system.settle(within=SETTLE_SECONDS)
    finally:
        for event in (sent, over):
            event.set()
        fury.cancel()
        await asyncio.gather(fury, *others, return_exceptions=True)
    await asyncio.gather(*others)
    balance = await system.ledger.check(system.sender, system.main, after="all that was killed")
    await system.check(after="all that was killed")
    answers = Counter(system.ledger.deleted.values())
    return [
        ("letters", number),
        ("seconds", round(time.monotonic() - began)),
        *((what, times) for what, times in sorted(raging.done.items())),
        *((f"deletes answered {answer}", times) for answer, times in sorted(answers.items())),
        ("ledger", balance),
    ]


async def _send(system: System, number: int) -> None:
    """What is not answered 250 is sent again, as mail servers do."""
    numbers = iter(range(number))

    async def sender() -> None:
        for one in numbers:
            await system.sender.send_until_taken([_some_letter(one)], connections=1, within=600)

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


def _some_letter(number: int) -> Outgoing:
    return letter(number, ANN, size=random.choice((400, 400, 4000)))


async def _delete(system: System, stop: asyncio.Event) -> None:
    """Now and then somebody deletes what he sees, while he can reach the store."""
    while not stop.is_set():
        await asyncio.sleep(DELETE_EACH_SECONDS)
        answer = await system.api.try_to("GET", f"/users/{ANN}/letters", params={"limit": 20})
        for shown in answer["items"][::2] if answer else []:
            system.ledger.deleted.setdefault(shown["id"], "not known: no answer came")
            deleted = await system.api.try_to("DELETE", f"/letters/{shown['id']}")
            if deleted:
                system.ledger.deleted[shown["id"]] = deleted["forward"]


async def campaign() -> Table:
    async with set_up(**SHORTENED) as stage:
        return of_rows(*await nothing_is_lost(stage, number=200_000))


if __name__ == "__main__":
    play("ledger", campaign)
