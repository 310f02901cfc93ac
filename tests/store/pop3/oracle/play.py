"""One script of POP3 on one server (language: tests/store/imap/oracle/script.py, and the login is the script's)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.kit.imapfacts import facts
from tests.kit.imapwire import Closed, Wire
from tests.kit.mailserver import MailServer
from tests.kit.popwire import PopFacts, PopWire, Reply
from tests.store.imap.oracle.letters import LETTERS
from tests.store.imap.oracle.play import PATIENCE_SECONDS, Said
from tests.store.imap.oracle.script import Names, Script, Step, unescaped


@dataclass(slots=True)
class Player:
    """A script's connections to one server. Unique ids are kept over all of them."""

    server: MailServer
    address: str
    names: Names
    wires: dict[str, PopWire] = field(default_factory=dict)
    imap: Wire | None = None
    at: str = "A"
    facts: PopFacts = field(default_factory=PopFacts)

    async def play(self, steps: Sequence[Step]) -> list[Said]:
        """Every step in turn; the connections are closed afterwards."""
        try:
            return [Said(step, await self._take(step)) for step in steps]
        finally:
            for wire in self.wires.values():
                wire.close()
            if self.imap is not None:
                await self.imap.close()

    async def _take(self, step: Step) -> list[str]:
        match step.deed:
            case "C:":
                return await self._command(self.names.command(step.text))
            case "C>":
                await (await self._wire()).send(unescaped(step.text))
            case "C*":
                times, _, text = step.text.partition(" ")
                await (await self._wire()).send(unescaped(text) * int(times))
            case "C~":
                return await self._hears(step.text)
            case "I:":
                self.imap = self.imap or await self.server.imap(self.address)
                return facts(await self.imap.command(self.names.command(step.text), PATIENCE_SECONDS))
            case "hang up":
                self.wires.pop(self.at).close()
            case _:
                self.at = step.deed
        return []

    async def _wire(self) -> PopWire:
        if self.at not in self.wires:
            self.wires[self.at] = await PopWire.open(self.server.pop3_port)
        return self.wires[self.at]

    async def _command(self, text: bytes) -> list[str]:
        try:
            reply = await (await self._wire()).command(text, PATIENCE_SECONDS)
        except TimeoutError:
            return ["SILENT"]
        return self.facts.of(text.decode("latin-1"), reply)

    async def _hears(self, begin: str) -> list[str]:
        """The next line, which begins so; what else it is, is told."""
        try:
            line = await (await self._wire()).line(PATIENCE_SECONDS)
        except Closed:
            return ["CLOSED"]
        except TimeoutError:
            return ["SILENT"]
        return [begin] if line.startswith(begin.encode()) else self.facts.of("", Reply(line))


async def play(script: Script, server: MailServer) -> list[Said]:
    """On a new user's mailbox with the script's letters."""
    address = await server.new_user()
    if script.letters:
        await server.fill(address, [LETTERS[name] for name in script.letters])
    return await Player(server, address, Names({b"user": address.encode()})).play(script.steps)
