"""Thunderbird, without a window, from its first look to what IDLE brings it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.mailprograms.account import Account
from tests.kit.mailprograms.thunderbird import Thunderbird, thunderbird
from tests.kit.patience import until
from tests.kit.system import System
from tests.store.imap.clients.life import arrive, at_main, is_cancelled, new_account


@pytest.fixture
async def account(system: System) -> Account:
    return await new_account(system)


@pytest.fixture
async def program(account: Account, tmp_path: Path) -> AsyncIterator[Thunderbird]:
    """Running. It is started once for all that is asked of it: each start takes it seconds."""
    with thunderbird(account, tmp_path / "profile") as running:
        yield running


async def _shows(program: Thunderbird, *subjects: str) -> None:
    """Wait until INBOX is so, without asking the server."""

    async def so() -> bool:
        return await asyncio.to_thread(program.shown) == sorted(subjects)

    await until(so, what=f"{subjects} in Thunderbird")


async def test_thunderbird_reads_flags_deletes_and_is_told_of_what_comes_and_goes(
    program: Thunderbird, account: Account, system: System
) -> None:
    assert await asyncio.to_thread(program.folders) == ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]
    ids = await arrive(system, account, "wanted", "unwanted")
    assert await asyncio.to_thread(program.subjects) == ["unwanted", "wanted"]
    assert "This is wanted." in await asyncio.to_thread(program.text, "wanted")
    await asyncio.to_thread(program.flag, "wanted")
    await until(lambda: _has_flags(system, ids["wanted"], {"\\Seen", "\\Flagged"}), what="the flags")
    await asyncio.to_thread(program.delete, "unwanted")
    await is_cancelled(system, ids["unwanted"])
    assert await asyncio.to_thread(program.subjects, "Trash") == ["unwanted"]
    await arrive(system, account, "later")
    await _shows(program, "later", "wanted")
    assert await at_main(system, account) == ["later", "wanted"]
    await _shows(program)


async def _has_flags(system: System, letter_id: str, flags: set[str]) -> bool:
    return flags <= set((await system.api.letter(letter_id))["flags"])
