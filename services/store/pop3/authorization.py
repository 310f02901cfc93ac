"""The AUTHORIZATION state: who is it, and is anybody listening (RFC 1939 section 4, RFC 2595, RFC 5034)?"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from services.store.door import sasl
from services.store.door.connection import Connection, LineTooLong
from services.store.door.logins import Refusal
from services.store.pop3 import any as in_any
from services.store.pop3.commands import Auth, Capa, Command, Lang, Pass, Quit, Stls, User, Utf8
from services.store.pop3.maildrop import Maildrop
from services.store.pop3.replies import AUTH, SYS_TEMP, BadCommand, Refused, challenge, ok
from services.store.pop3.sending import send
from services.store.pop3.transaction import Transaction

if TYPE_CHECKING:
    from services.store.pop3.session import Pop3, State

# A password has up to 1,000 characters. What a command may have in RFC 2449 section 4, 255 octets, does not hold it.
LINE_OCTETS = 8 * 1024


class Authorization:
    """Until somebody has logged in."""

    line_octets = LINE_OCTETS

    def __init__(self, connection: Connection, pop3: "Pop3") -> None:
        self._connection = connection
        self._pop3 = pop3
        self._name: str | None = None

    async def obey(self, command: Command) -> "State | None":
        """Answer `command`; returns the state that follows, None at the session's end.

        Raises:
            Refused: that is the answer.
            MailboxUnavailable, Hangup, Parting.
        """
        deed = _DEEDS.get(type(command))
        if deed is None:
            raise BadCommand("that needs a login")
        return await deed(self, command)

    async def abandon(self) -> None:
        """The session ends without QUIT."""

    async def _tell_capabilities(self, _: Capa) -> "State":
        await send(self._connection, in_any.capabilities(self._connection))
        return self

    async def _tell_language(self, command: Lang) -> "State":
        await send(self._connection, in_any.language(command))
        return self

    async def _speak_utf8(self, _: Utf8) -> "State":
        """Letters go out as they came, in either mode: rewriting a header (RFC 6857) would spoil what was signed, and
        programs have been reading 8-bit headers for thirty years."""
        await self._connection.write(ok("UTF-8 it is"))
        return self

    async def _quit(self, _: Quit) -> None:
        await self._connection.write(ok("good-bye"))

    async def _start_tls(self, _: Stls) -> "State":
        """What was said before is forgotten (RFC 2595 section 4)."""
        if not self._connection.can_start_tls:
            raise Refused("there is TLS already" if self._connection.is_tls else "there is no TLS here")
        await self._connection.start_tls(ok("begin"))
        return Authorization(self._connection, self._pop3)

    async def _take_name(self, command: User) -> "State":
        self._check_privacy()
        self._name = command.name
        await self._connection.write(ok("and the password?"))
        return self

    async def _take_password(self, command: Pass) -> "State":
        """A name serves once: after a refusal it is to be said again (RFC 1939 section 7)."""
        self._check_privacy()
        name, self._name = self._name, None
        if name is None:
            raise BadCommand("USER comes first")
        return await self._log_in(name, command.password)

    async def _authenticate(self, command: Auth) -> "State":
        self._check_privacy()
        try:
            if command.mechanism == "PLAIN":
                initial = command.initial
                credentials = sasl.plain(await self._ask(b"") if initial is None else initial)
            elif command.mechanism == "LOGIN":
                name = command.initial if command.initial is not None else await self._ask(sasl.USERNAME)
                credentials = sasl.login(name, await self._ask(sasl.PASSWORD))
            else:
                raise BadCommand("no such mechanism: there are " + " and ".join(sasl.MECHANISMS))
        except sasl.SaslRefused as refused:
            raise BadCommand(str(refused)) from None
        return await self._log_in(*credentials)

    async def _ask(self, words: bytes) -> bytes:
        """The client's answer. Raises SaslRefused, BadCommand: it has taken the exchange back."""
        await self._connection.write(challenge(words))
        await self._connection.flush()
        try:
            line = await self._connection.read_line(LINE_OCTETS)
        except LineTooLong:
            raise BadCommand("that is too long") from None
        if line == b"*":
            raise BadCommand("as you wish")
        return sasl.decode(line)

    async def _log_in(self, name: str, password: str) -> "State":
        found = await self._pop3.logins.log_in(name, password, self._connection)
        if isinstance(found, Refusal):
            # AUTH has a program ask for another password (RFC 3206 section 4): only where that would help.
            raise Refused(found.text, AUTH if found.code == "AUTHENTICATIONFAILED" else SYS_TEMP)
        maildrop = await Maildrop.opened(self._pop3.cabinet, found.name)
        self._connection.at_end(maildrop.close)
        self._connection.logged_in(60 * self._pop3.settings.pop3_idle_minutes)
        await self._connection.write(ok(f"{maildrop.count} letters ({maildrop.octets} octets)"))
        return Transaction(self._connection, self._pop3, maildrop)

    def _check_privacy(self) -> None:
        if not self._connection.is_private:
            raise Refused("no passwords in clear here: say STLS first")


_DEEDS: Mapping[type, Callable[[Authorization, Any], Awaitable["State | None"]]] = {
    Capa: Authorization._tell_capabilities,
    Lang: Authorization._tell_language,
    Utf8: Authorization._speak_utf8,
    Quit: Authorization._quit,
    Stls: Authorization._start_tls,
    User: Authorization._take_name,
    Pass: Authorization._take_password,
    Auth: Authorization._authenticate,
}
