"""Each program reads what waits, deletes so that it is never forwarded, and sees go what was forwarded."""

import asyncio
from pathlib import Path

import pytest

from tests.kit.mailprograms.account import Account, Program
from tests.kit.mailprograms.fetchers import Fetchmail, FetchmailImap, Getmail, GetmailPop3
from tests.kit.mailprograms.neomutt import Neomutt
from tests.kit.mailprograms.plain import CurlImap, CurlPop3, ImapClient, Imaplib, Poplib
from tests.kit.mailprograms.syncers import Mbsync, Offlineimap, Syncer
from tests.kit.system import System
from tests.store.imap.clients.life import arrive, at_main, is_cancelled, new_account

PROGRAMS: list[type[Program]] = [
    Mbsync,
    Offlineimap,
    Neomutt,
    Getmail,
    GetmailPop3,
    Fetchmail,
    FetchmailImap,
    CurlImap,
    CurlPop3,
    ImapClient,
    Imaplib,
    Poplib,
]


@pytest.mark.parametrize("kind", PROGRAMS, ids=lambda kind: kind.name)
async def test_what_is_deleted_here_is_never_forwarded_and_what_is_forwarded_is_gone_here(
    kind: type[Program], system: System, tmp_path: Path
) -> None:
    account = await new_account(system)
    unwanted = (await arrive(system, account, "unwanted"))["unwanted"]
    program = kind(account, tmp_path)
    assert await asyncio.to_thread(program.subjects) == ["unwanted"]
    await asyncio.to_thread(program.delete, "unwanted")
    await is_cancelled(system, unwanted)
    await arrive(system, account, "wanted")
    assert await asyncio.to_thread(program.subjects) == ["wanted"]
    assert await at_main(system, account) == ["wanted"]
    assert await asyncio.to_thread(program.subjects) == []


@pytest.mark.parametrize("kind", [Mbsync, Offlineimap], ids=lambda kind: kind.name)
async def test_second_sync_changes_nothing(kind: type[Syncer], system: System, tmp_path: Path) -> None:
    account = await new_account(system)
    await arrive(system, account, "one", "two", "three")
    program = kind(account, tmp_path)
    await asyncio.to_thread(program.sync)
    before = _snapshot(program)
    here = await _here(system, account)
    await asyncio.to_thread(program.sync)
    assert _snapshot(program) == before
    assert await _here(system, account) == here
    assert {"INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive"} <= set(before)


@pytest.mark.parametrize("kind", [Mbsync, Offlineimap], ids=lambda kind: kind.name)
async def test_flags_and_moves_go_both_ways(kind: type[Syncer], system: System, tmp_path: Path) -> None:
    account = await new_account(system)
    ids = await arrive(system, account, "one", "two", "three")
    program, other = kind(account, tmp_path / "one"), kind(account, tmp_path / "other")
    await asyncio.to_thread(program.sync)
    await asyncio.to_thread(program.mark, "one", "FS")
    await asyncio.to_thread(program.move, "two", "Trash")
    await asyncio.to_thread(other.sync)
    assert sorted(other.files()) == ["one", "three"]
    assert sorted(other.files("Trash")) == ["two"]
    assert other.files()["one"].name.endswith("FS")
    await is_cancelled(system, ids["two"])
    assert await at_main(system, account) == ["one", "three"]


def _snapshot(program: Syncer) -> dict[str, dict[str, str]]:
    """Every file of every folder, by the subject of its letter."""
    folders = [folder.name for folder in program.maildirs.iterdir() if (folder / "cur").is_dir()]
    return {name: {subject: file.name for subject, file in program.files(name).items()} for name in folders}


async def _here(system: System, account: Account) -> dict[str, tuple[str, int, list[str]]]:
    """Folder, number and flags of each letter, as the mailbox has it."""
    letters = await system.api.letters(account.address)
    return {letter["id"]: (letter["mailbox"], letter["uid"], letter["flags"]) for letter in letters}
