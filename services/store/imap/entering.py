"""Commands of any state, and those that let a person in (RFC 9051 sections 6.1 and 6.2)."""

import base64
import binascii
from typing import NoReturn

from services.store.door import sasl
from services.store.door.connection import LineTooLong
from services.store.door.logins import Refusal
from services.store.imap import commands as said
from services.store.imap import format as wire
from services.store.imap.answers import Answer, Bad, No
from services.store.imap.capabilities import ENABLED
from services.store.imap.incoming import LINE_BEFORE_LOGIN
from services.store.imap.session import Session
from services.store.mailbox import Person


async def capability(session: Session, _: said.Capability) -> Answer:
    await session.tell(f"* CAPABILITY {session.capabilities()}\r\n".encode())
    return Answer("Capability completed")


async def noop(session: Session, _: said.Noop | said.Check) -> Answer:
    if session.selected is not None:
        await session.selected.refresh()
    return Answer("Completed")


async def check(session: Session, command: said.Check) -> Answer:
    session.selection  # noqa: B018 - raises where there is none
    return await noop(session, command)


async def logout(session: Session, _: said.Logout) -> Answer:
    session.deselect()
    await session.tell(b"* BYE Logging out\r\n")
    return Answer("Logout completed")


async def identify(session: Session, _: said.Id) -> Answer:
    fields = b" ".join(wire.quoted(text) for text in ("name", "Understudy", "vendor", "Understudy"))
    await session.tell(b"* ID (%b)\r\n" % fields)
    return Answer("ID completed")


async def enable(session: Session, command: said.Enable) -> Answer:
    session.address  # noqa: B018 - raises before login
    wanted = [name for name in dict.fromkeys(command.names) if name in ENABLED]
    session.enabled.update(wanted)
    spelt = ["IMAP4rev2" if name == "IMAP4REV2" else name for name in wanted]
    await session.tell(f"* ENABLED{''.join(f' {name}' for name in spelt)}\r\n".encode())
    if session.selected is not None and {"CONDSTORE", "QRESYNC"}.intersection(wanted):
        await session.tell(b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % session.selected.view.folder.modseq)
    return Answer("Enabled")


async def start_tls(session: Session, _: said.StartTls) -> Answer:
    if session.person is not None:
        raise Bad("You are logged in")
    if session.connection.is_tls:
        raise Bad("TLS is there already")
    if not session.connection.can_start_tls:
        raise No("There is no certificate here")
    return Answer("Begin TLS", then_tls=True)


async def login(session: Session, command: said.Login) -> Answer:
    _may_log_in(session)
    return await _let_in(session, command.user, command.password)


async def authenticate(session: Session, command: said.Authenticate) -> Answer:
    _may_log_in(session)
    match command.mechanism:
        case "PLAIN":
            first = command.initial if command.initial is not None else await _response(session, b"")
            try:
                name, password = sasl.plain(first)
            except ValueError:
                _misread()
        case "LOGIN":
            first = command.initial if command.initial is not None else await _response(session, b"Username:")
            try:
                name, password = sasl.login(first, await _response(session, b"Password:"))
            except ValueError:
                _misread()
        case _:
            raise No("There is no such mechanism here")
    return await _let_in(session, name, password)


def _misread() -> NoReturn:
    raise No("That is no name with a password", "AUTHENTICATIONFAILED")


def _may_log_in(session: Session) -> None:
    if session.person is not None:
        raise Bad("You are logged in")
    if not session.connection.is_private:
        raise No("Passwords are taken over TLS only", "PRIVACYREQUIRED")


async def _response(session: Session, challenge: bytes) -> bytes:
    """RFC 9051 section 6.2.2. Raises Bad: it was taken back, or is no base64."""
    await session.tell(b"+ %b\r\n" % base64.b64encode(challenge))
    await session.connection.flush()
    try:
        line = await session.connection.read_line(LINE_BEFORE_LOGIN)
    except LineTooLong:
        raise Bad("The response is too long") from None
    if line == b"*":
        raise Bad("Taken back")
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise Bad("The response is no base64") from None


async def _let_in(session: Session, name: str, password: str) -> Answer:
    found = await session.imap.logins.log_in(name, password, session.connection)
    if isinstance(found, Refusal):
        session.count_wrong_login()
        raise No(found.text, found.code)
    let_in(session, found)
    return Answer("Logged in", f"CAPABILITY {session.capabilities()}")


def let_in(session: Session, person: Person) -> None:
    session.person = person
    session.connection.logged_in(session.imap.settings.imap_idle_minutes * 60)
