"""Deletes against claims: whoever was answered `cancelled` must never find the letter at the main server.

make campaign NAME=races
"""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

from rich.table import Table

from shared.letter import letter_id
from tests.campaigns.stage import ANN, Rows, Run, of_rows, on_own_servers, play
from tests.kit.mainserver import MainServer, Pause
from tests.kit.sender import letters
from tests.kit.system import System

FORWARDERS = ("forwarder", "forwarder-2")
# Until both forwarders send, at most.
PATIENCE_SECONDS = 60
SENDERS = 20
DELETERS = 20
# How far from its place in the order of arrival, in which forwarders claim, a letter is deleted.
ASTRAY = 60
# Weight of the latest answer in what is known of those before; with fewer that came too late, deleters wait a moment.
LATEST = 0.02
FEW_LATE = 0.3
MOMENT_SECONDS = 0.02


class Race:
    """Keeps forwarders and deleters side by side, for they are not equally fast. The main server waits with its answer
    to a letter until the deleters are near; how near, follows from what they are answered: about half come too late."""

    def __init__(self, receipts: Sequence[str], main: MainServer) -> None:
        self._places = {receipt: place for place, receipt in enumerate(receipts)}
        self._main = main
        # The main server goes ahead of the deleters by this; less than 0: behind them.
        self._lead = 0
        self._late = 0.5
        self._heard = asyncio.Event()
        self.answers: Counter[str] = Counter()

    async def temper(self, stage: str, _said: bytes) -> bytes | None:
        """The main server's."""
        if stage == "KEPT":
            place = self._places.get(self._main.taken[-1].receipt_id, 0)
            while self.answers.total() < min(place - self._lead, len(self._places)):
                self._heard.clear()
                await self._heard.wait()
        return None

    def hear(self, answer: str) -> None:
        """What a delete was answered."""
        is_late = answer != "cancelled"
        self.answers[answer] += 1
        self._lead += -1 if is_late else 1
        self._late += LATEST * (is_late - self._late)
        self._heard.set()

    async def stay_near(self) -> None:
        """The deleters', between two letters."""
        if self._late < FEW_LATE:
            await asyncio.sleep(MOMENT_SECONDS)


async def deletes_race_claims(run: Run, *, rounds: int, letters_each: int) -> Rows:
    """Rounds of so many letters, each of which is deleted about when one of two forwarders claims it: fails where one
    answered `cancelled` was sent, or one was lost."""
    sums: Counter[str] = Counter()
    began = time.monotonic()
    async with run() as system:
        await system.add_user(ANN)
        await system.start("forwarder-2")
        await _both_send(system)
        before = {name: await _sent_by(system, name) for name in FORWARDERS}
        for number in range(1, rounds + 1):
            answers = await _round(system, letters_each)
            sums += answers
            told = ", ".join(f"{answer} {count}" for answer, count in sorted(answers.items()))
            print(f"round {number} of {rounds}, after {time.monotonic() - began:.0f} s: {told}", file=sys.stderr)
        sent = {name: await _sent_by(system, name) - before[name] for name in FORWARDERS}
    return [
        ("rounds", rounds),
        ("letters, each deleted and claimed", rounds * letters_each),
        *((f"deletes answered {answer}", count) for answer, count in sorted(sums.items())),
        *((f"sent by {name}", round(count)) for name, count in sent.items()),
        ("answered cancelled and yet sent", 0),
        ("letters a second", round(rounds * letters_each / (time.monotonic() - began))),
    ]


async def _round(system: System, count: int) -> Counter[str]:
    """Returns what the deletes were answered."""
    await _begin(system)
    gate = Pause("MAIL")
    system.main.temper = gate
    sent = await system.send(letters(count, ANN), connections=SENDERS)
    await system.ledger.arrive(system.sender)
    receipts = [one.receipt_id or "" for one in sent]
    race = Race(receipts, system.main)
    system.main.temper = race.temper
    gate.go_on.set()
    await _delete_all(system, race, receipts)
    await system.settle(within=120)
    await system.check()
    return race.answers


async def _begin(system: System) -> None:
    """A new page, in the database, too: a check reads all of it, and all of the last round is settled and checked."""
    system.begin()
    database = system.scope.connect()
    for collection in ("letters", "bodies"):
        await database[collection].delete_many({})


async def _delete_all(system: System, race: Race, receipts: Sequence[str]) -> None:
    """About in the order of arrival."""
    astray = sorted(range(len(receipts)), key=lambda place: place + random.uniform(-ASTRAY, ASTRAY))
    left = iter([letter_id(receipts[place], ANN) for place in astray])

    async def deleter() -> None:
        async with system.api.deleter() as connection:
            for name in left:
                answer = system.ledger.deleted[name] = await connection.delete(name)
                race.hear(answer)
                await race.stay_near()

    await asyncio.gather(*(deleter() for _ in range(DELETERS)))


async def _both_send(system: System) -> None:
    """Send until both do: before a destination is known to take more, its keeper does the work for all."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not all([await _sent_by(system, name) for name in FORWARDERS]):
            await system.send(letters(SENDERS, ANN), connections=SENDERS)
            await system.settle()


async def _sent_by(system: System, name: str) -> float:
    metrics = await system.process(name).metrics()
    return sum(value for sample, value in metrics.items() if sample.startswith("understudy_forwarded_total"))


async def campaign() -> Table:
    return of_rows(*await on_own_servers(partial(deletes_race_claims, rounds=50, letters_each=2000)))


if __name__ == "__main__":
    play("races", campaign)
