"""Broker and database that go away, and a database that is put back: on servers that belong to this file."""

import asyncio
import shutil
from pathlib import Path

import pytest

from deploy.local.mongod import Mongod
from tests.kit.sender import letters
from tests.kit.servers import Servers
from tests.kit.system import System
from tests.pipeline.conftest import Run

ANN, NOBODY = "ann@example.test", "nobody@example.test"


async def test_11_known_recipients_outlive_a_database_outage_and_a_restart(
    run_on_own: Run, own_servers: Servers
) -> None:
    async with run_on_own() as system:
        await system.add_user(ANN)
        await system.send(letters(1, ANN))
        await system.settle()
        await asyncio.to_thread(own_servers.mongod.stop)
        try:
            await system.restart("ingest")
            await system.send(letters(20, ANN))
            (unknown,) = await system.sender.send(letters(1, NOBODY))
            assert unknown.code == 451, "nobody can be asked, so nobody is refused for good"
        finally:
            await asyncio.to_thread(own_servers.mongod.start)
        await system.main.has_taken(21)
        await system.settle()
        (unknown,) = await system.sender.send(letters(1, NOBODY))
        assert unknown.code == 550
        await system.check(after="the database was away")


async def _put_aside(mongod: Mongod, copy: Path) -> None:
    """A backup: the files of a database that is at rest."""
    await asyncio.to_thread(mongod.stop)
    await asyncio.to_thread(shutil.copytree, mongod.folder / "db", copy)
    await asyncio.to_thread(mongod.start)


async def _put_back(mongod: Mongod, copy: Path) -> None:
    await asyncio.to_thread(mongod.stop)
    await asyncio.to_thread(shutil.rmtree, mongod.folder / "db")
    await asyncio.to_thread(shutil.copytree, copy, mongod.folder / "db")
    await asyncio.to_thread(mongod.start)


async def _send_and_keep(system: System, number: int) -> list[str]:
    """Letters that wait in the mailbox, the main server being away; their ids."""
    await system.main.go_away()
    sent = await system.send(letters(number, ANN))
    await system.ledger.arrive(system.sender)
    receipts = {one.receipt_id for one in sent}
    return [letter["id"] for letter in await system.api.letters(ANN) if letter["receipt_id"] in receipts]


@pytest.mark.timeout(240)
async def test_13_a_database_put_back_loses_nothing_and_repeats_nothing(
    run_on_own: Run, own_servers: Servers, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    # The copy holds a claim of a forwarder that is no more by then: it is taken over after a lease. Copies of letters
    # that are known as forwarded once more are taken away by the reconciler.
    async with run_on_own(forwarder_lease_seconds=3, reconcile_seconds=4) as system:
        await system.add_user(ANN)
        await system.send(letters(20, ANN))
        await system.main.has_taken(20)
        await system.settle()
        await _send_and_keep(system, 10)
        await _put_aside(own_servers.mongod, copy)
        await system.main.come_back()
        await system.main.has_taken(30)
        await system.send(letters(10, ANN))
        await system.main.has_taken(40)
        await system.settle()
        waiting = await _send_and_keep(system, 10)
        for name in waiting[:5]:
            await system.delete(name)
        await asyncio.sleep(1)
        await _put_back(own_servers.mongod, copy)
        for name in ("store", "forwarder", "pruner", "ingest"):
            await system.restart(name)
        await system.main.come_back()
        await system.main.has_taken(45, within=90)
        await asyncio.sleep(3)
        await system.settle()
        assert len(system.main.taken) == 45, "forwarded and deleted letters stayed so"
        await system.check(after="the database was put back")
