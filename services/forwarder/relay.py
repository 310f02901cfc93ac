"""One SMTP session with a main server. The only user of aiosmtplib.

The library connects, greets, upgrades and authenticates. The letters go over a wire of our own on its transport: the
library drops replies that arrive when none is awaited, so it cannot pipeline; its `sendmail` rewrites line ends (not
the same bytes), normalises twice, and blocks the loop for large letters.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
import time
from collections.abc import Hashable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiosmtplib
from aiosmtplib import SMTPResponse

from services.forwarder.client import Client, greeting_name, xclient
from services.forwarder.handover import (
    Announced,
    ChunkingRefused,
    Envelope,
    Handover,
    LeaseStale,
    MaySend,
)
from services.forwarder.outcome import Answer
from services.forwarder.reply import MOST_TEXT
from services.forwarder.wire import LineBroken, Wire, transport_of
from shared import logs
from shared.settings import Forwarder

__all__ = ["Envelope", "LeaseStale", "MaySend", "Route", "Session", "SessionFailed", "probe"]

log = logs.get("relay")

QUIT_SECONDS = 2.0
NOT_PASSED, XCLIENT, XFORWARD = "none", "xclient", "xforward"
# A probe waits so long after connecting: whoever needs longer for a greeting is not there for anybody.
PROBE_SECONDS = 20.0
# Destinations of which it is remembered that they do not know what they announce; the oldest is forgotten first.
MOST_SHUNNED = 1000
# A server that refused XCLIENT may have been told since to take it from us.
XCLIENT_SHUNNED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Route:
    """Whom to talk to, and how. Letters with the same route share sessions. `tls`: none, opportunistic, required or
    verified. `pass_client`: none, xclient or xforward."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: str
    pass_client: str = NOT_PASSED


class SessionFailed(Exception):
    """The session did not come about; `answer` says at which stage and why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


class Shunned:
    """Destinations, by whatever names them, with which something is not tried for a while."""

    def __init__(self, most: int, seconds: float = float("inf")) -> None:
        self._most = most
        self._seconds = seconds
        self._until: dict[Hashable, float] = {}

    def add(self, name: Hashable) -> None:
        self._until.pop(name, None)
        self._until[name] = time.monotonic() + self._seconds
        if len(self._until) > self._most:
            del self._until[next(iter(self._until))]

    def __contains__(self, name: Hashable) -> bool:
        return self._until.get(name, 0.0) > time.monotonic()


# Of this process: what one session has found out, the next must not have to.
WITHOUT_BDAT = Shunned(MOST_SHUNNED)
WITHOUT_XCLIENT = Shunned(MOST_SHUNNED, XCLIENT_SHUNNED_SECONDS)


class Session:
    """A session that is ready for MAIL. One letter at a time; never shared between tasks, never opened again."""

    def __init__(self, route: Route, settings: Forwarder, client: aiosmtplib.SMTP) -> None:
        self._route = route
        self._settings = settings
        # Whom the server takes us for, since XCLIENT; None: for ourselves.
        self._passed: Client | None = None
        self._is_used = False
        self._take_over(client)

    @classmethod
    async def open(cls, route: Route, settings: Forwarder) -> Self:
        """Connect, say EHLO, upgrade and authenticate as the route says. Raises SessionFailed."""
        return cls(route, settings, await _connected(route, settings))

    def _take_over(self, client: aiosmtplib.SMTP) -> None:
        """Letters go over the transport that `client` has made ready. Raises SessionFailed."""
        route = self._route
        try:
            wire = Wire(transport_of(client.transport))
        except LineBroken as broken:
            raise SessionFailed(Answer("ehlo", 0, broken.text)) from broken
        self._client = client
        self._handover = Handover(
            wire,
            Announced.of(client.esmtp_extensions),
            self._settings,
            chunking=(route.host, route.port) not in WITHOUT_BDAT,
            xforward=route.pass_client == XFORWARD,
        )

    @property
    def usable(self) -> bool:
        return self._handover.is_idle and self._handover.wire.usable

    @property
    def letters_sent(self) -> int:
        """Over the present connection."""
        return self._handover.letters_sent

    async def send(self, envelope: Envelope, may_send: MaySend) -> Answer:
        """Hand over one letter. Raises LeaseStale where the right to do so has lapsed; then nothing was sent."""
        try:
            if self._route.pass_client == XCLIENT and self._passed != envelope.client:
                await self._pass(envelope.client)
            answer = await self._send(envelope, may_send)
        except SessionFailed as failure:
            self.close()
            return failure.answer
        except BaseException:
            self.close()
            raise
        self._is_used = True
        return answer

    async def _send(self, envelope: Envelope, may_send: MaySend) -> Answer:
        try:
            return await self._handover.send(envelope, may_send)
        except ChunkingRefused as refused:
            # It is no refusal of the letter. What has become of the session nobody knows: the chunk may be read as
            # commands.
            log.warning("bdat_unknown", host=self._route.host, port=self._route.port, text=str(refused))
            WITHOUT_BDAT.add((self._route.host, self._route.port))
        await self._open_again()
        if self._route.pass_client == XCLIENT:
            await self._pass(envelope.client)
        return await self._handover.send(envelope, may_send)

    async def _open_again(self) -> None:
        """As ourselves. Raises SessionFailed."""
        self.close()
        self._passed, self._is_used = None, False
        self._take_over(await _connected(self._route, self._settings))

    async def _pass(self, client: Client | None) -> None:
        """Have the server take us for `client`, if it lets us; never for the client of another letter. Raises
        SessionFailed."""
        command = self._xclient(client)
        if self._passed is not None and not command:
            await self._open_again()
            command = self._xclient(client)
        if client is None or not command or not self._handover.wire.usable:
            return
        refusal = await self._say_xclient(command, client)
        if refusal is None:
            self._passed = client
            return
        log.warning("xclient_refused", host=self._route.host, port=self._route.port, text=refusal)
        WITHOUT_XCLIENT.add(self._of_its_kind(client))
        await self._open_again()

    def _xclient(self, client: Client | None) -> bytes:
        """The command; empty where it is not to be said."""
        if client is None or self._of_its_kind(client) in WITHOUT_XCLIENT:
            return b""
        return xclient(client, self._handover.announced.xclient)

    def _of_its_kind(self, client: Client) -> tuple[str, int, bool]:
        """A Postfix that does without IPv6 refuses clients that have it, and no others."""
        return self._route.host, self._route.port, client.is_ipv6

    async def _say_xclient(self, command: bytes, client: Client) -> str | None:
        """Why it was refused; None: the server has begun anew, and is greeted again. Raises SessionFailed."""
        smtp, route = self._client, self._route
        transport = self._handover.wire.release()
        if smtp.protocol is not None:
            # The library's own, as it was before we took over.
            transport.set_protocol(smtp.protocol)
        # A connection that had been used may be closed by now: the next try is on one that has not.
        async with _Stages(smtp, "mail" if self._is_used else "ehlo") as stages:
            if self._handover.needs_reset:
                await smtp.execute_command(b"RSET")
            reply = await smtp.execute_command(command)
            if reply.code != 220:
                smtp.close()
                return f"{reply.code} {_cut(reply.message)}"
            stages.now = "ehlo"
            smtp.esmtp_extensions = {}
            await _greet(smtp, greeting_name(client))
            if smtp.supports_extension("auth"):
                await _log_in(smtp, route, stages)
        self._take_over(smtp)
        return None

    async def quit(self) -> None:
        """Say goodbye, briefly: the letters are safe already."""
        wire = self._handover.wire
        if not self.usable:
            wire.abort()
            return
        with contextlib.suppress(LineBroken):
            wire.write(b"QUIT\r\n", 1)
            await wire.reply(QUIT_SECONDS)
        wire.close()

    def close(self) -> None:
        self._handover.wire.abort()


async def probe(host: str, port: int, settings: Forwarder) -> Answer:
    """Whether somebody is there: connect, be greeted, say EHLO and QUIT. Raises SessionFailed."""
    stage = "connect"
    try:
        async with asyncio.timeout(settings.connect_seconds + PROBE_SECONDS - QUIT_SECONDS):
            client = await _connected_client(Route(host, port, None, None, "none"), settings, upgrade=False)
            stage = "banner"
            async with _Stages(client) as stages:
                await client.connect()
                stage = stages.now = "ehlo"
                reply = await _greet(client)
    except TimeoutError:
        raise SessionFailed(Answer(stage, 0, "no answer in time")) from None
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, RuntimeError):
        await asyncio.wait_for(client.quit(), QUIT_SECONDS)
    client.close()
    return Answer("ehlo", reply.code, _cut(reply.message))


async def _connected(route: Route, settings: Forwarder) -> aiosmtplib.SMTP:
    """Greeted, upgraded and let in as the route says. Raises SessionFailed."""
    try:
        return await _opened(route, settings, upgrade=route.tls != "none")
    except SessionFailed as failure:
        # Opportunistic: a server whose TLS is broken still gets its mail, but no password in clear.
        if failure.answer.stage != "starttls" or route.tls != "opportunistic" or route.username is not None:
            raise
    return await _opened(route, settings, upgrade=False)


async def _connected_client(route: Route, settings: Forwarder, *, upgrade: bool) -> aiosmtplib.SMTP:
    """On a TCP connection that stands; nothing is said yet. Raises SessionFailed."""
    connected = await _connected_socket(route.host, route.port, settings.connect_seconds)
    return aiosmtplib.SMTP(
        hostname=route.host,
        local_hostname=settings.hostname,
        timeout=settings.command_seconds,
        use_tls=False,
        start_tls=False,
        sock=connected,
        tls_context=_tls_context(route.tls) if upgrade else None,
    )


async def _opened(route: Route, settings: Forwarder, *, upgrade: bool) -> aiosmtplib.SMTP:
    client = await _connected_client(route, settings, upgrade=upgrade)
    async with _Stages(client) as stages:
        await client.connect()
        stages.now = "ehlo"
        await _greet(client)
        if upgrade and (client.supports_extension("starttls") or route.tls != "opportunistic"):
            stages.now = "starttls"
            await client.starttls(server_hostname=route.host)
            stages.now = "ehlo"
            await _greet(client)
        await _log_in(client, route, stages)
    return client


async def _log_in(client: aiosmtplib.SMTP, route: Route, stages: "_Stages") -> None:
    if route.username is not None:
        stages.now = "auth"
        await client.login(route.username, route.password or "")


class _Stages:
    """Turns whatever goes wrong while a session is made into SessionFailed, with the stage it went wrong in."""

    def __init__(self, client: aiosmtplib.SMTP, now: str = "banner") -> None:
        self._client = client
        self.now = now

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


async def _connected_socket(host: str, port: int, seconds: float) -> socket.socket:
    """A TCP connection to the first address of the host that takes it. Raises SessionFailed."""
    loop = asyncio.get_running_loop()
    trouble = "no address"
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
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


async def _greet(client: aiosmtplib.SMTP, name: str | None = None) -> SMTPResponse:
    """EHLO, or HELO where the server knows no better (RFC 5321 section 3.2); as `name` where one is given."""
    try:
        return await client.ehlo(hostname=name)
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        return await client.helo(hostname=name)


@functools.cache
def _tls_context(policy: str) -> ssl.SSLContext:
    """Made once: reading the machine's certificates takes longer than sending a letter."""
    context = ssl.create_default_context()
    if policy != "verified":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _said(error: Exception) -> tuple[int, str]:
    """The code and text of a reply that the library raised; code 0 where nothing was said."""
    if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
        return error.code, _cut(error.message)
    return 0, _cut(str(error) or type(error).__name__)


def _cut(text: str) -> str:
    """Bounded, and without what no database or JSON takes."""
    return text[:MOST_TEXT].encode("utf-8", "replace").decode()
