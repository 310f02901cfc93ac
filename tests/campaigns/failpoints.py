"""kill -9 at every line that matters, under load: no letter lost, none sent after its delete was answered `cancelled`.

make campaign NAME=failpoints
"""

import asyncio
import contextlib
import random
import signal
import subprocess
from collections import Counter
from functools import partial
from typing import Any

from rich.table import Table

from tests.campaigns.stage import ANN, Rows, Run, of_rows, on_own_servers, play
from tests.kit.api import PASSWORD
from tests.kit.group import expel_members
from tests.kit.imapwire import Closed, Wire
from tests.kit.mainserver import MainServer, plain, refusing_recipient
from tests.kit.patience import until
from tests.kit.sender import letter
from tests.kit.system import System

PLACES: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest.before_publish", "ingest.after_publish"),
    "store": (
        "store.before_bodies",
        "store.before_letters",
        "store.before_publish",
        "store.before_apply",
        "store.before_finish",
        "bus.before_commit",
        "announcer.before_publish",
        "announcer.before_clear",
    ),
    "forwarder": (
        "forwarder.before_claim",
        "forwarder.after_claim",
        "forwarder.before_dot",
        "forwarder.after_dot",
        "forwarder.before_record",
        "forwarder.before_publish",
        "forwarder.before_take_over",
        "forwarder.before_notice",
        "forwarder.before_notice_settled",
        "bus.before_commit",
    ),
    "pruner": (
        "pruner.before_remove",
        "pruner.before_publish",
        "pruner.before_release",
        "pruner.before_released",
        "bus.before_commit",
    ),
}
# Claims of the dead are taken over soon, what was left untold is found soon, what people delete is purged at once, and
# a letter that is refused again is parked.
SHORTENED = {"forwarder_lease_seconds": 3, "reconcile_seconds": 3, "bin_deleted_days": 0, "believe_seconds": 0.5}
SENDERS = 4
# His letters are only forwarded and always refused, so their senders are told: now and then, for the main server must
# not seem to refuse everything.
PASSER = "passer@example.test"
REFUSED_EACH_SECONDS = 2.0
# A few may be on their way when the killing begins; most die much sooner.
DEATH_SECONDS = 90.0
MOST_PASSES = 4


async def kills_lose_nothing(run: Run, *, kills: int) -> Rows:
    """Each place `kills` times; the services die beside each other while letters come in and some are deleted."""
    deaths: Counter[str] = Counter()
    async with MainServer() as relay, run(**SHORTENED, notice_relay=relay.name) as system:
        await system.add_user(ANN)
        await system.add_user(PASSER, mode="forward_only")
        system.main.temper = refusing_recipient("passer@main.test", b"550 5.1.1 No such user")
        stop = asyncio.Event()
        load = [asyncio.ensure_future(work(system, stop)) for work in (_send, _send_in_vain, _delete, _read)]
        try:
            await asyncio.gather(*(_kill_often(system, service, kills, deaths) for service in PLACES))
        finally:
            stop.set()
            await asyncio.gather(*load)
        # Those refused last would wait for ever: a refusal is believed only when another letter was taken meanwhile.
        system.main.temper = plain
        await system.settle(within=120)
        told = await _each_is_told_of_once(system, relay)
        balance = await system.ledger.check(system.sender, system.main, after="kill -9")
        await system.check(after="kill -9")
    missing = [place for place in _named() if deaths[place] < kills]
    assert not missing, f"not reached: {missing}"
    return [*((place, f"{deaths[place]} kills") for place in _named()), ("notices", told), ("ledger", balance)]


def _named() -> list[str]:
    return [_name(service, place) for service, places in PLACES.items() for place in places]


def _name(service: str, place: str) -> str:
    return place if place.startswith((service, "announcer")) else f"{place} in {service}"


async def _kill_often(system: System, service: str, kills: int, deaths: Counter[str]) -> None:
    """Start `service` with one armed place after another; in the end without."""
    places = list(PLACES[service]) * kills
    random.shuffle(places)
    # Killed, too: the first of them may be to die while it takes over from a dead one.
    system.process(service).kill()
    if service != "ingest":
        await expel_members(system.scope, service)
    for place in places:
        passes = random.randint(1, MOST_PASSES) if kills > 1 else 1
        process = system.launch(service, failpoints=f"{place}=kill@{passes}")
        try:
            code = await process.has_ended(DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            # So many passes did not come; what is armed only goes off under load that reaches it.
            process.kill()
            code = 0
        assert code in (0, -signal.SIGKILL), f"{service} ended by itself with code {code}: {process.tail(5)}"
        deaths[_name(service, place)] += code == -signal.SIGKILL
        if service != "ingest":
            await expel_members(system.scope, service)
    await system.start(service)


async def _send(system: System, stop: asyncio.Event) -> None:
    """A steady stream; what was not answered 250 is sent again, as mail servers do."""
    numbers = iter(range(10_000_000))

    async def sender() -> None:
        while not stop.is_set():
            outgoing = letter(next(numbers), ANN)
            await system.sender.send_until_taken([outgoing], connections=1, within=600)
            await asyncio.sleep(0.1)

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


async def _send_in_vain(system: System, stop: asyncio.Event) -> None:
    """Letters that are refused, each of a sender of its own."""
    number = 0
    while not stop.is_set():
        number += 1
        outgoing = letter(number, PASSER, sender=f"sender-{number}@elsewhere.test")
        await system.sender.send_until_taken([outgoing], connections=1, within=600)
        await asyncio.sleep(REFUSED_EACH_SECONDS)


async def _each_is_told_of_once(system: System, relay: MainServer) -> int:
    """Each refused letter has one notice, and the relay has that; returns how many. Killed after a dot, a forwarder
    sends one twice, as it does any letter."""
    notices: dict[str, str] = {}

    async def told() -> bool:
        documents = await system.ledger.documents()
        notices.update({one["receipt_id"]: one["notice"]["of"] for one in documents.values() if "notice" in one})
        parked = {name for name, one in documents.items() if one.get("address") == PASSER and _is_parked(one)}
        return parked <= set(notices.values())

    await until(told, within=60, pause=0.5, what="a notice of each refused letter")
    await system.settle(within=60)
    assert len(notices) == len(set(notices.values())), "two notices of one letter"
    missing = notices.keys() - {one.receipt_id for one in relay.taken}
    assert not missing, f"{len(missing)} of {len(notices)} notices never came to the relay"
    return len(notices)


def _is_parked(document: dict[str, Any]) -> bool:
    return bool(document["forward"]["state"] == "parked")


async def _delete(system: System, stop: asyncio.Event) -> None:
    """Now and then somebody deletes what he sees, while he can reach the store."""
    while not stop.is_set():
        await asyncio.sleep(0.3)
        answer = await system.api.try_to("GET", f"/users/{ANN}/letters", params={"limit": 5})
        for shown in answer["items"][:2] if answer else []:
            system.ledger.deleted.setdefault(shown["id"], "not known: no answer came")
            deleted = await system.api.try_to("DELETE", f"/letters/{shown['id']}")
            if deleted:
                system.ledger.deleted[shown["id"]] = deleted["forward"]


async def _read(system: System, stop: asyncio.Event) -> None:
    """Somebody has his mailbox open, so that its letters are numbered and flagged."""
    while not stop.is_set():
        with contextlib.suppress(OSError, TimeoutError, Closed):
            async with await Wire.open(system.port("imap")) as wire:
                await wire.login(ANN, PASSWORD)
                answer = await wire.command("SELECT INBOX")
                while answer.status != "CLOSED" and not stop.is_set():
                    for how in "+-":
                        answer = await wire.command(f"UID STORE 1:* {how}FLAGS.SILENT (\\Flagged)")
                    answer = await wire.command("NOOP")
                    await asyncio.sleep(0.2)
        await asyncio.sleep(0.2)


async def campaign() -> Table:
    return of_rows(*await on_own_servers(partial(kills_lose_nothing, kills=20)))


if __name__ == "__main__":
    play("failpoints", campaign)
