"""One mailbox of 10,000 letters as a mail program has it, and many programs at once, beside Dovecot in the same run.

make campaign NAME=mailbox
"""

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from rich.table import Table
from ulid import ULID

from shared.letter import Mode, letter_id
from shared.mailbox.bodies import Bodies
from shared.mailbox.letters import Letters, new_letter
from shared.moments import utc_now
from tests.campaigns.stage import ANN, Run, memory_mib, on_own_servers, play
from tests.kit import corpus
from tests.kit.dovecot import dovecot
from tests.kit.imapwire import Wire
from tests.kit.mailserver import Filed, MailServer, of_dovecot, of_system
from tests.kit.system import System

ROUNDS = 5
# How much longer than Dovecot's warm one an answer of ours may take.
MOST_RATIO = 2.0
THUNDERBIRD = (
    "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority "
    "X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])"
)
PATIENCE_SECONDS = 120.0
_AT_ONCE = 500
# Of the programs that do what comes to their mind.
_RANDOM = (
    "NOOP",
    "UID FETCH {few} (FLAGS)",
    "UID FETCH {few} (ENVELOPE BODYSTRUCTURE)",
    "UID FETCH {one} (BODY.PEEK[])",
    "UID STORE {few} +FLAGS.SILENT (\\Seen)",
    "UID STORE {few} -FLAGS.SILENT (\\Seen)",
    "UID SEARCH UNSEEN",
    "UID SEARCH SUBJECT linux",
    "STATUS INBOX (MESSAGES UNSEEN)",
    'LIST "" *',
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked; `before` is asked first each time, and not counted. `is_first`: of a session that has just begun,
    as when a mail program is opened."""

    name: str
    command: str
    before: str | None = None
    is_first: bool = False


@dataclass(slots=True)
class Figures:
    """Seconds of each thing asked, a list for each server."""

    ours: dict[str, list[float]] = field(default_factory=dict)
    theirs: dict[str, list[float]] = field(default_factory=dict)


def asked_of(letters: int) -> list[Asked]:
    bodies = min(1000, letters)
    flagged = "UID STORE 1:* {}FLAGS.SILENT (\\Flagged)"
    return [
        Asked("SELECT", "SELECT INBOX", is_first=True),
        Asked("UID FETCH 1:* (FLAGS)", "UID FETCH 1:* (FLAGS)"),
        Asked("Thunderbird's header list", THUNDERBIRD),
        Asked("ENVELOPE BODYSTRUCTURE ...", "UID FETCH 1:* (ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE FLAGS)"),
        Asked(f"{bodies} bodies", f"UID FETCH 1:{bodies} (BODY.PEEK[])"),
        Asked("UID SEARCH UNSEEN", "UID SEARCH UNSEEN"),
        Asked("UID SEARCH SUBJECT", "UID SEARCH SUBJECT linux"),
        Asked("UID STORE 1:* +FLAGS.SILENT", flagged.format("+"), flagged.format("-")),
    ]


async def a_mailbox_beside_dovecot(
    run: Run, *, letters: int, rounds: int, programs: int, clients: int, seconds: float, is_promised: bool = True
) -> Table:
    """The table: each command's median seconds, memory of `programs` that have it open, and `clients` of random
    commands. Fails where an answer is not OK, or takes longer than promised."""
    raws = list(_letters(letters))
    table = Table("", "ours", "Dovecot", "ratio")
    with dovecot(is_as_shipped=True) as peer:
        async with run("store", "ingest", connections_per_user=programs + clients + 10) as system:
            ours, theirs = of_system(system), of_dovecot(peer)
            await ours.add_user(ANN)
            await put(system, ANN, raws)
            await theirs.fill(ANN, [Filed(raw) for raw in raws])
            table.add_row("letters", str(letters), f"{sum(map(len, raws)) / 2**20:.0f} MiB", "")
            slow = await _compare(table, ours, theirs, asked_of(letters), rounds)
            await _compare_memory(table, system, ours, programs)
            await _compare_clients(table, ours, theirs, letters, clients, seconds)
    assert not slow or not is_promised, f"more than {MOST_RATIO} times as long as Dovecot: {', '.join(slow)}"
    return table


def _letters(number: int) -> Iterator[bytes]:
    """Real ones, again and again."""
    real = [letter.raw for letter in corpus.letters(ANN)]
    return itertools.islice(itertools.cycle(real), number)


async def put(system: System, address: str, raws: Sequence[bytes]) -> None:
    """Letters as intake leaves them, many at a time."""
    database = system.scope.connect()
    letters, bodies = Letters(database), Bodies(database)
    for start in range(0, len(raws), _AT_ONCE):
        some = [(str(ULID()), raw) for raw in raws[start : start + _AT_ONCE]]
        await bodies.insert(
            [(receipt, raw, [letter_id(receipt, address)]) for receipt, raw in some],
            origin={receipt: (0, 0) for receipt, _ in some},
        )
        now = utc_now()
        await letters.insert(
            [
                new_letter(
                    letter_id=letter_id(receipt, address),
                    receipt_id=receipt,
                    address=address,
                    partition=0,
                    offset=0,
                    folder="INBOX",
                    mode=str(Mode.STORE_ONLY),
                    destination=None,
                    size=len(raw),
                    received_at=now,
                    sender="sender@elsewhere.test",
                    spam=None,
                    now=now,
                    due=now,
                )
                for receipt, raw in some
            ]
        )
    database.client.close()


async def _compare(
    table: Table, ours: MailServer, theirs: MailServer, asked: Sequence[Asked], rounds: int
) -> list[str]:
    """The names of what took us longer than promised."""
    figures = Figures()
    async with await ours.imap(ANN) as mine, await theirs.imap(ANN) as its:
        # The first time is opening, numbering and rendering; it is shown, and not compared.
        first = [await _time(ours, mine, asked[0])]
        await _ok(mine, "SELECT INBOX")
        await _ok(its, "SELECT INBOX")
        first += [await _time(ours, mine, one) for one in asked[1:]]
        for one in asked:
            await _time(theirs, its, one)
        for _ in range(rounds):
            for one in asked:
                figures.ours.setdefault(one.name, []).append(await _time(ours, mine, one))
                figures.theirs.setdefault(one.name, []).append(await _time(theirs, its, one))
    slow = []
    for one, seconds in zip(asked, first, strict=True):
        mine_s, its_s = statistics.median(figures.ours[one.name]), statistics.median(figures.theirs[one.name])
        table.add_row(
            f"{one.name} (first: {seconds:.2f} s)", f"{mine_s:.4f} s", f"{its_s:.4f} s", f"{mine_s / its_s:.2f}"
        )
        if mine_s > MOST_RATIO * its_s:
            slow.append(one.name)
    return slow


async def _time(server: MailServer, wire: Wire, asked: Asked) -> float:
    if asked.is_first:
        async with await server.imap(ANN) as fresh:
            return await _time(server, fresh, replace(asked, is_first=False))
    if asked.before is not None:
        await _ok(wire, asked.before)
    began = time.perf_counter()
    await _ok(wire, asked.command)
    return time.perf_counter() - began


async def _ok(wire: Wire, command: str) -> None:
    answer = await wire.command(command, within=PATIENCE_SECONDS)
    assert answer.status == "OK", f"{command}: {answer.tagged!r}"


async def _compare_memory(table: Table, system: System, ours: MailServer, programs: int) -> None:
    """What each that has the mailbox open costs; of Dovecot a process each, imap.md has 590 kB measured."""
    pid = system.process("store").pid
    before = memory_mib(pid)
    wires = [await ours.imap(ANN) for _ in range(programs)]
    for wire in wires:
        await _ok(wire, "SELECT INBOX")
    each = (memory_mib(pid) - before) * 1024 / programs
    table.add_row(f"memory for each of {programs} that have it open", f"{each:.0f} KiB", "", "")
    for wire in wires:
        await wire.close()


async def _compare_clients(
    table: Table, ours: MailServer, theirs: MailServer, letters: int, clients: int, seconds: float
) -> None:
    """At the same time they would share the processors, so one after the other."""
    rates = []
    for server in (ours, theirs):
        commands = await asyncio.gather(*(_client(server, letters, seconds, seed) for seed in range(clients)))
        rates.append(sum(commands) / seconds)
    row = f"{clients} clients of random commands, {seconds:.0f} s: commands a second"
    table.add_row(row, f"{rates[0]:.0f}", f"{rates[1]:.0f}", f"{rates[0] / rates[1]:.2f}")


async def _client(server: MailServer, letters: int, seconds: float, seed: int) -> int:
    dice = random.Random(seed)
    until = time.monotonic() + seconds
    commands = 0
    async with await server.imap(ANN) as wire:
        await _ok(wire, "SELECT INBOX")
        while time.monotonic() < until:
            first = dice.randint(1, letters)
            command = dice.choice(_RANDOM).format(one=first, few=f"{first}:{first + dice.randint(0, 50)}")
            await _ok(wire, command)
            commands += 1
    return commands


async def campaign() -> Table:
    async def part(run: Run) -> Table:
        return await a_mailbox_beside_dovecot(
            run, letters=10_000, rounds=ROUNDS, programs=200, clients=10, seconds=300, is_promised=False
        )

    return await on_own_servers(part)


if __name__ == "__main__":
    play("mailbox", campaign)
