"""Each script on both servers, on equal mailboxes."""

import asyncio
from pathlib import Path

import pytest

from tests.kit.mailserver import MailServer
from tests.store.imap.oracle.differences import outlived, unexplained
from tests.store.imap.oracle.play import differences
from tests.store.imap.oracle.script import read
from tests.store.pop3.oracle.differences import ACCEPTED
from tests.store.pop3.oracle.play import play

SCRIPTS = sorted(Path(__file__).parent.glob("scripts/*.pop3"))


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.stem)
async def test_ours_answers_as_dovecot_does(file: Path, ours: MailServer, theirs: MailServer) -> None:
    said, its = await asyncio.gather(play(read(file), ours), play(read(file), theirs))
    found = differences(said, its)
    new = unexplained(ACCEPTED, file.stem, found)
    assert not new, f"{len(new)} differences:\n" + "\n".join(map(str, new))
    old = outlived(ACCEPTED, file.stem, found)
    assert not old, f"no difference any more: {old}"
