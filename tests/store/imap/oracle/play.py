"""One script on one server, and what differs between two of them."""

from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from tests.kit.imapfacts import facts
from tests.kit.imapwire import Answer, Wire
from tests.kit.mailserver import MailServer
from tests.store.imap.oracle.letters import LETTERS
from tests.store.imap.oracle.script import Names, Script, Step, unescaped

# A server that says nothing is a difference, and not the end of the script.
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Said:
    """The facts that a server told at one step."""

    step: Step
    facts: list[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that one server told at one step, and the other did not."""

    step: Step
    by: str
    fact: str

    def __str__(self) -> str:
        return f"line {self.step.number}, {self.step.text}\n    only {self.by}: {self.fact}"


@dataclass(slots=True)
class Player:
    """A script's connections to one server."""

    server: MailServer
    address: str
    wires: dict[str, Wire] = field(default_factory=dict)
    at: str = "A"
    names: Names = field(default_factory=Names)

    async def play(self, steps: Sequence[Step]) -> list[Said]:
        """Every step in turn; the connections are closed afterwards."""
        try:
            return [Said(step, await self._take(step)) for step in steps]
        finally:
            for wire in self.wires.values():
                await wire.close()

    async def _take(self, step: Step) -> list[str]:
        match step.deed:
            case "C:":
                wire = await self._wire()
                return await self._heard(wire.command(self.names.command(step.text), PATIENCE_SECONDS))
            case "C>":
                await (await self._wire()).send(unescaped(step.text))
            case "C*":
                times, _, text = step.text.partition(" ")
                await (await self._wire()).send(unescaped(text) * int(times))
            case "C~":
                return await self._heard((await self._wire()).hears(step.text.encode(), PATIENCE_SECONDS))
            case "keep":
                self.names.keep(step.text)
            case "hang up":
                await self.wires.pop(self.at).close()
            case "fresh":
                self.at = step.text
                self.wires[self.at] = await Wire.open(self.server.imap_port)
                return facts(Answer(b"HEARD", [self.wires[self.at].greeting[2:]]))
            case _:
                self.at = step.deed
        return []

    async def _wire(self) -> Wire:
        if self.at not in self.wires:
            self.wires[self.at] = await self.server.imap(self.address)
        return self.wires[self.at]

    async def _heard(self, answered: Awaitable[Answer]) -> list[str]:
        try:
            answer = await answered
        except TimeoutError:
            return ["SILENT"]
        for response in [*answer.untagged, answer.tagged]:
            self.names.hear(response)
        return facts(answer)


async def play(script: Script, server: MailServer) -> list[Said]:
    """On a new user's mailbox with the script's letters."""
    address = await server.new_user()
    if script.letters:
        await server.fill(address, [LETTERS[name] for name in script.letters])
    return await Player(server, address, names=Names({b"user": address.encode()})).play(script.steps)


def differences(ours: list[Said], theirs: list[Said]) -> list[Difference]:
    """Step by step."""
    found: list[Difference] = []
    for one, other in zip(ours, theirs, strict=True):
        mine, its = Counter(one.facts), Counter(other.facts)
        found += [Difference(one.step, "ours", fact) for fact in sorted((mine - its).elements())]
        found += [Difference(one.step, "Dovecot", fact) for fact in sorted((its - mine).elements())]
    return found
