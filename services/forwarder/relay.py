"""One SMTP session with a main server. The only user of aiosmtplib.

The library connects, upgrades and authenticates; the transaction itself is written here on its protocol, because its
`sendmail` rewrites line ends (not the same bytes), normalises twice, and blocks the loop for large letters.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import aiosmtplib
from aiosmtplib import SMTPResponse
from aiosmtplib.protocol import SMTPProtocol

from services.forwarder.outcome import Answer
from shared.failpoints import failpoint
from shared.settings import Forwarder

# Written to the socket at a time: large letters must not hold the loop, nor memory twice.
PIECE_BYTES = 256 * 1024
QUIT_SECONDS = 2.0
# RFC 5321 4.5.3.1.5 gives a reply line 512 octets; what is kept of an answer in a letter is bounded by us.
MOST_TEXT = 500

# Asked right before the final dot: is the claim's lease still fresh?
MaySend = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Route:
    """Whom to talk to, and how. Letters with the same route share sessions. `tls`: none, opportunistic, required or
    verified."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """A letter as it goes out: one recipient, line ends CRLF."""

    sender: str
    recipient: str
    content: bytes


class SessionFailed(Exception):
    """The session did not come about; `answer` says at which stage and why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


class LeaseStale(Exception):
    """The right to send has lapsed before the final dot: nothing was sent (design rule 5)."""


class Session:
    """A session that is ready for MAIL. One letter at a time; never shared between tasks, never opened again."""

    def __init__(self, client: aiosmtplib.SMTP, settings: Forwarder) -> None:
        self._client = client
        self._settings = settings
        self.letters_sent = 0

    @classmethod
    async def open(cls, route: Route, settings: Forwarder) -> "Session":
        """Connect, say EHLO, upgrade and authenticate as the route says. Raises SessionFailed."""
        try:
            return await cls._open(route, settings, upgrade=route.tls != "none")
        except SessionFailed as failure:
            # Opportunistic: a server whose TLS is broken still gets its mail, but never a password in clear.
            if failure.answer.stage != "starttls" or route.tls != "opportunistic" or route.username is not None:
                raise
        return await cls._open(route, settings, upgrade=False)

    @classmethod
    async def _open(cls, route: Route, settings: Forwarder, *, upgrade: bool) -> "Session":
        connected = await _connected_socket(route, settings.connect_seconds)
        client = aiosmtplib.SMTP(
            hostname=route.host,
            local_hostname=settings.hostname,
            timeout=settings.command_seconds,
            use_tls=False,
            start_tls=False,
            sock=connected,
            tls_context=_tls_context(route.tls) if upgrade else None,
        )
        async with _Stages(client) as stages:
            await client.connect()
            stages.now = "ehlo"
            await _greet(client)
            if upgrade and (client.supports_extension("starttls") or route.tls != "opportunistic"):
                stages.now = "starttls"
                await client.starttls(server_hostname=route.host)
                stages.now = "ehlo"
                await _greet(client)
            if route.username is not None:
                stages.now = "auth"
                await client.login(route.username, route.password or "")
        return cls(client, settings)

    @property
    def usable(self) -> bool:
        return self._client.is_connected

    async def send(self, envelope: Envelope, may_send: MaySend) -> Answer:
        """Hand over one letter. Raises LeaseStale where the right to do so has lapsed; then nothing was sent."""
        stage = "mail"
        try:
            for stage, command in self._commands(envelope):
                seconds = self._settings.data_seconds if stage == "data" else self._settings.command_seconds
                reply = await self._client.execute_command(*command, timeout=seconds)
                if reply.code != 354 if stage == "data" else not 200 <= reply.code < 300:
                    return await self._refused(stage, reply)
            return await self._content(envelope.content, may_send)
        except (aiosmtplib.SMTPException, OSError, RuntimeError, ValueError) as error:
            # uvloop answers a write to a closed transport with RuntimeError.
            self.close()
            return Answer(stage, *_said(error))

    def _commands(self, envelope: Envelope) -> list[tuple[str, list[bytes]]]:
        """MAIL, RCPT and DATA, with what EHLO announced."""
        mail = [b"MAIL", b"FROM:<%s>" % envelope.sender.encode()]
        if self._client.supports_extension("size"):
            mail.append(b"SIZE=%d" % len(envelope.content))
        if self._client.supports_extension("8bitmime") and not envelope.content.isascii():
            mail.append(b"BODY=8BITMIME")
        if not (envelope.sender + envelope.recipient).isascii():
            mail.append(b"SMTPUTF8")
        return [("mail", mail), ("rcpt", [b"RCPT", b"TO:<%s>" % envelope.recipient.encode()]), ("data", [b"DATA"])]

    async def _refused(self, stage: str, reply: SMTPResponse) -> Answer:
        """The letter was refused: the session goes on unless the server says or the reply means otherwise."""
        if reply.code == 421 or stage == "data":
            self.close()
        else:
            await self._client.rset()
        return Answer(stage, reply.code, _cut(reply.message))

    async def _content(self, content: bytes, may_send: MaySend) -> Answer:
        protocol = self._client.protocol
        if protocol is None:
            return Answer("content", 0, "connection lost")
        try:
            async with asyncio.timeout(None) as patience:
                await self._write_content(protocol, _stuffed(content), patience)
        except (aiosmtplib.SMTPException, OSError, RuntimeError) as error:
            self.close()
            return Answer("content", *_said(error))
        if not may_send():
            # Without its final dot the server drops the letter (RFC 5321 4.1.1.4).
            self.close()
            raise LeaseStale
        return await self._final_dot(protocol)

    async def _write_content(self, protocol: SMTPProtocol, content: bytes, patience: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        for start in range(0, len(content), PIECE_BYTES):
            patience.reschedule(loop.time() + self._settings.block_seconds)
            protocol.write(content[start : start + PIECE_BYTES])
            await protocol._drain_helper()

    async def _final_dot(self, protocol: SMTPProtocol) -> Answer:
        failpoint("forwarder.before_dot")
        try:
            protocol._response_pending = True
            protocol.write(b".\r\n")
            failpoint("forwarder.after_dot")
            reply = await protocol.read_response(timeout=self._settings.final_dot_seconds)
        except (aiosmtplib.SMTPException, OSError, RuntimeError) as error:
            self.close()
            return Answer("dot", 0, _said(error)[1], dot_sent=True)
        self.letters_sent += 1
        if reply.code == 421:
            self.close()
        return Answer("dot", reply.code, _cut(reply.message), dot_sent=True)

    async def quit(self) -> None:
        """Say goodbye, briefly: the letters are safe already."""
        with contextlib.suppress(aiosmtplib.SMTPException, OSError, RuntimeError, TimeoutError):
            await asyncio.wait_for(self._client.quit(), QUIT_SECONDS)
        self.close()

    def close(self) -> None:
        with contextlib.suppress(RuntimeError, OSError):
            self._client.close()


class _Stages:
    """Turns whatever goes wrong while a session is made into SessionFailed, with the stage it went wrong in."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client
        self.now = "banner"

    async def __aenter__(self) -> "_Stages":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        with contextlib.suppress(RuntimeError, OSError):
            self._client.close()
        if isinstance(error, aiosmtplib.SMTPException | OSError | RuntimeError | ValueError):
            raise SessionFailed(Answer(self.now, *_said(error))) from error


async def _connected_socket(route: Route, seconds: float) -> socket.socket:
    """A TCP connection to the first address of the host that takes it. Raises SessionFailed."""
    loop = asyncio.get_running_loop()
    trouble = "no address"
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(route.host, route.port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in found:
                connection = socket.socket(family, kind, protocol)
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    await loop.sock_connect(connection, address)
                except OSError as error:
                    connection.close()
                    trouble = error.strerror or str(error)
                except BaseException:
                    connection.close()
                    raise
                else:
                    return connection
    except TimeoutError:
        trouble = f"no connection within {seconds:.0f} s"
    except OSError as error:
        trouble = error.strerror or str(error)
    raise SessionFailed(Answer("connect", 0, f"cannot connect: {trouble}"))


async def _greet(client: aiosmtplib.SMTP) -> None:
    """EHLO, or HELO where the server knows no better (RFC 5321 3.2)."""
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


@functools.cache
def _tls_context(policy: str) -> ssl.SSLContext:
    """Made once: reading the machine's certificates takes longer than sending a letter."""
    context = ssl.create_default_context()
    if policy != "verified":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _stuffed(content: bytes) -> bytes:
    """Dots that begin a line are doubled (RFC 5321 4.5.2). The letter begins with our Received header, never a dot."""
    if b"\n." in content:
        content = content.replace(b"\n.", b"\n..")
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def _said(error: Exception) -> tuple[int, str]:
    """The code and text of a reply that the library raised; code 0 where nothing was said."""
    if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
        return error.code, _cut(error.message)
    return 0, _cut(str(error) or type(error).__name__)


def _cut(text: str) -> str:
    """Bounded, and without what no database or JSON takes."""
    return text[:MOST_TEXT].encode("utf-8", "replace").decode()
