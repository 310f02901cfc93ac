"""That what is found is the servers' difference, and none of the comparison's own."""

import asyncio
from pathlib import Path

from tests.kit.mailserver import MailServer
from tests.store.imap.oracle.play import differences
from tests.store.imap.oracle.script import read
from tests.store.pop3.oracle.play import play

SCRIPTS = sorted(Path(__file__).parent.glob("scripts/*.pop3"))


async def test_dovecot_does_not_differ_from_itself(theirs: MailServer) -> None:
    async def twice(file: Path) -> list[str]:
        one, other = await asyncio.gather(play(read(file), theirs), play(read(file), theirs))
        return [f"{file.name}: {difference}" for difference in differences(one, other)]

    found = "\n".join(one for many in await asyncio.gather(*map(twice, SCRIPTS)) for one in many)
    assert not found, found
