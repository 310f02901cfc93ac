"""Letters by SMTP into our mailbox."""

from collections.abc import Iterable

from tests.kit.patience import until
from tests.kit.sender import Outgoing
from tests.kit.system import System


async def deliver(system: System, address: str, letters: Iterable[Outgoing]) -> int:
    """Send letters, and wait until all are in the mailbox; how many there are."""
    sent = await system.send(list(letters))

    async def all_there() -> bool:
        return len(await system.api.letters(address)) >= len(sent)

    await until(all_there, within=300, pause=0.2, what=f"{len(sent)} letters in the mailbox")
    return len(sent)
