"""What happens to letters outside of the mail program."""

import itertools

from tests.kit.mailprograms.account import Account
from tests.kit.patience import until
from tests.kit.sender import Outgoing
from tests.kit.system import System

_numbers = itertools.count(1)


async def new_account(system: System) -> Account:
    """A user whose letters wait: the main server is away."""
    await system.main.go_away()
    address = await system.add_user(f"reader{next(_numbers)}@example.test")
    return Account(system.port("imap"), system.port("pop3"), address)


async def arrive(system: System, account: Account, *subjects: str) -> dict[str, str]:
    """Send letters; subject -> id once they are in the mailbox."""
    await system.send([Outgoing(_raw(subject, account.address), (account.address,)) for subject in subjects])

    async def there() -> dict[str, str]:
        found = {letter["subject"]: letter["id"] for letter in await system.api.letters(account.address)}
        return found if set(subjects) <= set(found) else {}

    return await until(there, what=f"{subjects} in the mailbox")


async def is_cancelled(system: System, letter_id: str) -> None:
    """Wait until a letter's forward is cancelled; that it is never at the main server is checked by the ledger."""

    async def cancelled() -> bool:
        return bool((await system.api.letter(letter_id))["forward"]["state"] == "cancelled")

    await until(cancelled, what=f"the end of {letter_id}'s forward")
    system.ledger.deleted[letter_id] = "cancelled"


async def at_main(system: System, account: Account) -> list[str]:
    """Let the main server come back, and wait until nothing is under way; the subjects that it has of the account."""
    await system.main.come_back()
    await system.settle()
    await system.check()
    target = account.address.replace("@example.test", "@main.test")
    taken = [letter.raw for letter in system.main.taken if target in letter.recipients]
    return sorted(line[9:].decode() for raw in taken for line in raw.split(b"\r\n") if line.startswith(b"Subject: "))


def _raw(subject: str, address: str) -> bytes:
    lines = [
        "From: Bob <bob@elsewhere.test>",
        f"To: {address}",
        f"Subject: {subject}",
        "Date: Thu, 1 Feb 2024 12:00:00 +0100",
        f"Message-ID: <{subject}.{address}>",
        "",
        f"This is {subject}.",
        "",
    ]
    return "\r\n".join(lines).encode()
