"""Hands letters over a wire to a main server that has been greeted, one after another.

Three ways, by what the server announces. CHUNKING with PIPELINING: MAIL, RCPT and the letter itself in one write, one
round trip. PIPELINING: MAIL, RCPT and DATA in one write, then the letter. Neither: a command at a time.

Whichever way: a letter counts as taken only if MAIL, RCPT and the last answer were each good. What ends the letter, the
final dot or BDAT LAST, is written only right after `may_send` has said yes (design rule 5), and once it is written the
result is unknown unless the server answers (rule 8).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from services.forwarder.client import Client, xforward
from services.forwarder.outcome import Answer
from services.forwarder.reply import Reply
from services.forwarder.wire import LineBroken, Wire
from shared import logs
from shared.failpoints import failpoint
from shared.settings import Forwarder

log = logs.get("handover")

# Up to here a letter goes in one write with what ends it, and is on its way before the lease can lapse.
SMALL_BYTES = 64 * 1024
# Written to the socket at a time: large letters must not hold the loop, nor memory twice.
PIECE_BYTES = 256 * 1024
# A large letter's part by one BDAT; the last one is small, so that it leaves right after `may_send`.
CHUNK_BYTES = 1024 * 1024
LAST_BYTES = 4096
# A connection that was idle so long may be closing: the letter then follows MAIL and RCPT, or nobody would know what
# became of it.
IDLE_SECONDS = 1.0
# Answers of a server that announces CHUNKING and does not know it.
_NO_BDAT = frozenset({500, 502, 503})

_DOT = b".\r\n"

# Commands with the stage that each is, and what was answered at each.
Opening = list[tuple[str, bytes]]
Heard = dict[str, Reply]
# Asked right before what ends the letter: is the claim's lease still fresh?
MaySend = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A letter as it goes out: one recipient, line ends CRLF; and the client that it came from, where that is known."""

    sender: str
    recipient: str
    content: bytes
    client: Client | None = None


@dataclass(frozen=True, slots=True)
class Announced:
    """What the server said to EHLO."""

    pipelining: bool
    chunking: bool
    size: bool
    eight_bit: bool
    xclient: frozenset[str]
    xforward: frozenset[str]

    @classmethod
    def of(cls, extensions: dict[str, str]) -> "Announced":
        """`extensions`: words in small letters, and what follows each."""
        return cls(
            pipelining="pipelining" in extensions,
            chunking="chunking" in extensions,
            size="size" in extensions,
            eight_bit="8bitmime" in extensions,
            xclient=frozenset(extensions.get("xclient", "").upper().split()),
            xforward=frozenset(extensions.get("xforward", "").upper().split()),
        )


class LeaseStale(Exception):
    """The right to send has lapsed before the letter's end was written: nothing was sent (design rule 5)."""


class ChunkingRefused(Exception):
    """The server does not know BDAT, though it announced it and had taken MAIL and RCPT: nothing was sent."""


class Handover:
    """One wire's letters. Unless `is_idle`, or after an exception, the wire can only be aborted."""

    def __init__(
        self, wire: Wire, announced: Announced, settings: Forwarder, *, chunking: bool, xforward: bool
    ) -> None:
        """`chunking`, `xforward`: whether they are to be used where they are announced."""
        self.wire = wire
        self.announced = announced
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._uses_bdat = announced.pipelining and announced.chunking and chunking
        self._uses_xforward = xforward
        self._bdat_works = False
        self._answered_at = self._loop.time()
        self.is_idle = True
        # A transaction was left open: the next one begins with RSET.
        self.needs_reset = False
        self.letters_sent = 0

    async def send(self, envelope: Envelope, may_send: MaySend) -> Answer:
        """Raises LeaseStale, ChunkingRefused."""
        try:
            opening = self._opening(envelope)
        except ValueError as error:
            return Answer("mail", 553, f"not sent: {error}")
        self.is_idle = False
        if not self._uses_bdat:
            answer = await self._by_data(opening, envelope.content, may_send)
        elif len(envelope.content) <= SMALL_BYTES and self._is_in_step:
            answer = await self._in_one_write(opening, envelope.content, may_send)
        else:
            answer = await self._in_chunks(opening, envelope.content, may_send)
        self._answered_at = self._loop.time()
        self.is_idle = True
        return answer

    @property
    def _is_in_step(self) -> bool:
        """Whether answers have been to what they answer: a letter was taken or refused here a moment ago. All in one
        write, a reply too many would be taken for the answer to the letter."""
        return self.letters_sent > 0 and self._loop.time() - self._answered_at < IDLE_SECONDS

    # What comes first.

    def _opening(self, envelope: Envelope) -> Opening:
        """What goes before the letter, each command with the stage that it is. Raises ValueError."""
        sender, recipient = _path(envelope.sender), _path(envelope.recipient)
        mail = b"MAIL FROM:<%b>" % sender
        if self.announced.size:
            mail += b" SIZE=%d" % len(envelope.content)
        if self.announced.eight_bit and not envelope.content.isascii():
            mail += b" BODY=8BITMIME"
        if not (sender.isascii() and recipient.isascii()):
            mail += b" SMTPUTF8"
        opening = [("mail", mail + b"\r\n"), ("rcpt", b"RCPT TO:<%b>\r\n" % recipient)]
        if self._uses_xforward and envelope.client is not None:
            commands = xforward(envelope.client, self.announced.xforward)
            opening[:0] = [("xforward", command + b"\r\n") for command in commands]
        if self.needs_reset:
            self.needs_reset = False
            opening.insert(0, ("rset", b"RSET\r\n"))
        return opening

    async def _ask(self, commands: Opening, heard: Heard) -> LineBroken | None:
        """Say `commands` in one write; put each answer into `heard`, up to where the line broke, if it did."""
        settings = self._settings
        try:
            self.wire.write(b"".join([command for _, command in commands]), len(commands))
            for stage, _ in commands:
                seconds = settings.data_seconds if stage == "data" else settings.command_seconds
                heard[stage] = await self.wire.reply(seconds)
        except LineBroken as broken:
            return broken
        return None

    def _refusal(self, heard: Heard) -> Answer | None:
        """The first answer, up to that of RCPT, that was not good."""
        if "xforward" in heard and not heard["xforward"].is_good:
            self._note_xforward_refused(heard["xforward"])
        for stage in ("rset", "mail", "rcpt"):
            reply = heard.get(stage)
            if reply is not None and not reply.is_good:
                return self._refused(stage, reply)
        return None

    def _note_xforward_refused(self, reply: Reply) -> None:
        """It holds no letter. 501 is about this client: a Postfix that does without IPv6 says it to clients that have
        it. Anything else is about us."""
        if self._uses_xforward and reply.code != 501:
            self._uses_xforward = False
            log.warning("xforward_refused", code=reply.code, text=reply.text)

    def _refused(self, stage: str, reply: Reply) -> Answer:
        if reply.code == 421 or reply.code < 400:
            self.wire.abort()
        if stage == "rset":
            # It says nothing of the letter; but what follows may belong to the transaction before.
            self.wire.abort()
            return Answer("mail", reply.code if reply.code == 421 else 0, f"RSET was refused: {reply.text}")
        if reply.code < 400:
            return Answer(stage, 0, f"that is no answer to {stage.upper()}: {reply.code} {reply.text}")
        return Answer(stage, reply.code, reply.text)

    # By DATA.

    async def _by_data(self, opening: Opening, content: bytes, may_send: MaySend) -> Answer:
        commands = [*opening, ("data", b"DATA\r\n")]
        heard: Heard = {}
        for group in [commands] if self.announced.pipelining else [[command] for command in commands]:
            broken = await self._ask(group, heard)
            refusal = self._refusal(heard)
            if refusal is not None:
                await self._leave(heard)
                return refusal
            if broken is not None:
                return _broken_off(commands, heard, broken)
        data = heard["data"]
        if data.code != 354:
            return self._data_refused(data)
        if len(content) <= SMALL_BYTES:
            return await self._finish(_stuffed(content) + _DOT, may_send)
        return await self._write(memoryview(_stuffed(content))) or await self._finish(_DOT, may_send)

    async def _leave(self, heard: Heard) -> None:
        """The letter was refused before its DATA, which may have been answered all the same."""
        mail, data = heard.get("mail"), heard.get("data")
        has_begun = mail is not None and mail.is_good
        if data is None or data.code != 354:
            self.needs_reset = has_begun
        elif has_begun:
            # RFC 2920 section 3.1: a letter for nobody. Where MAIL was refused it might be one for somebody.
            broken = await self._ask([("dot", _DOT)], heard)
            self.needs_reset = broken is not None
        else:
            self.wire.abort()

    def _data_refused(self, data: Reply) -> Answer:
        self.needs_reset = True
        if data.code == 421 or data.code < 400:
            self.wire.abort()
        if data.code < 400:
            return Answer("data", 0, f"that is no answer to DATA: {data.code} {data.text}")
        return Answer("data", data.code, data.text)

    async def _write(self, content: memoryview) -> Answer | None:
        """Piece by piece; what went wrong, if something did."""
        try:
            for start in range(0, len(content), PIECE_BYTES):
                self.wire.write(content[start : start + PIECE_BYTES], 0)
                await self.wire.drained(self._settings.block_seconds)
        except LineBroken as broken:
            return Answer("content", broken.code, broken.text)
        return None

    # By BDAT (RFC 3030).

    async def _in_one_write(self, opening: Opening, content: bytes, may_send: MaySend) -> Answer:
        commands = [*opening, ("dot", _bdat(content, b" LAST"))]
        failpoint("forwarder.before_dot")
        if not may_send():
            raise LeaseStale
        try:
            self.wire.write(b"".join([*[command for _, command in commands], content]), len(commands))
        except LineBroken as broken:
            return Answer("mail", broken.code, broken.text)
        failpoint("forwarder.after_dot")
        heard: Heard = {}
        try:
            # The server may keep all its answers until it has the last.
            for stage, _ in commands:
                heard[stage] = await self.wire.reply(self._settings.final_dot_seconds)
        except LineBroken as error:
            return self._judged(heard, error)
        return self._judged(heard, None)

    def _judged(self, heard: Heard, broken: LineBroken | None) -> Answer:
        """What the answers to MAIL, RCPT and BDAT LAST mean together. A refused MAIL or RCPT is what refused the
        letter; BDAT was bound to fail then."""
        last = heard.get("dot")
        refusal = self._refusal(heard)
        if refusal is None:
            return self._ended(last, is_chunk=True) if last is not None else _unknown(broken)
        if last is not None and last.is_good:
            self.wire.abort()
            return Answer("dot", 0, f"refused with {refusal.code}, and then taken: {last.text}", dot_sent=True)
        self.needs_reset = True
        return refusal

    async def _in_chunks(self, opening: Opening, content: bytes, may_send: MaySend) -> Answer:
        heard: Heard = {}
        broken = await self._ask(opening, heard)
        refusal = self._refusal(heard)
        if refusal is not None:
            await self._leave(heard)
            return refusal
        if broken is not None:
            return _broken_off(opening, heard, broken)
        if len(content) <= SMALL_BYTES:
            return await self._finish(_bdat(content, b" LAST") + content, may_send, is_chunk=True)
        last = content[-LAST_BYTES:]
        trouble = await self._write_chunks(memoryview(content)[:-LAST_BYTES])
        return trouble or await self._finish(_bdat(last, b" LAST") + last, may_send, is_chunk=True)

    async def _write_chunks(self, content: memoryview) -> Answer | None:
        """While one chunk is on its way, the one before is answered; what went wrong, if something did."""
        starts = range(0, len(content), CHUNK_BYTES)
        try:
            for start in starts:
                chunk = content[start : start + CHUNK_BYTES]
                self.wire.write(_bdat(chunk), 1)
                trouble = await self._write(chunk) or (await self._chunk_answer() if start else None)
                if trouble is not None:
                    return trouble
            return await self._chunk_answer()
        except LineBroken as broken:
            return Answer("content", broken.code, broken.text)

    async def _chunk_answer(self) -> Answer | None:
        """None: the server takes more. Raises LineBroken, ChunkingRefused."""
        reply = await self.wire.reply(self._settings.block_seconds)
        if reply.is_good:
            self._bdat_works = True
            return None
        self._check_bdat_known(reply)
        # The rest of what is under way would be read as a letter's, or as commands.
        self.wire.abort()
        return Answer("content", reply.code if reply.code >= 400 else 0, reply.text)

    def _check_bdat_known(self, reply: Reply) -> None:
        if reply.code in _NO_BDAT and not self._bdat_works:
            raise ChunkingRefused(f"{reply.code} {reply.text}")

    # What comes last.

    async def _finish(self, end: bytes, may_send: MaySend, *, is_chunk: bool = False) -> Answer:
        """Write what ends the letter, and hear what the server says to it."""
        failpoint("forwarder.before_dot")
        if not may_send():
            raise LeaseStale
        try:
            self.wire.write(end, 1)
        except LineBroken as broken:
            return Answer("content", broken.code, broken.text)
        failpoint("forwarder.after_dot")
        try:
            reply = await self.wire.reply(self._settings.final_dot_seconds)
        except LineBroken as broken:
            return _unknown(broken)
        return self._ended(reply, is_chunk=is_chunk)

    def _ended(self, reply: Reply, *, is_chunk: bool) -> Answer:
        if is_chunk and reply.is_good:
            self._bdat_works = True
        elif is_chunk:
            self._check_bdat_known(reply)
            # RFC 3030 section 2: after a BDAT that failed nobody knows the transaction's state.
            self.needs_reset = True
        self.letters_sent += 1
        if reply.code == 421:
            self.wire.abort()
        if 300 <= reply.code < 400:
            # No answer to a letter: who says it may have the letter all the same, and would get it again and again.
            self.wire.abort()
            return _unknown(LineBroken(f"{reply.code} {reply.text}"))
        return Answer("dot", reply.code, reply.text, dot_sent=True)


def _path(address: str) -> bytes:
    """Raises ValueError: what would end the command, or is not UTF-8, must not get into it."""
    path = address.encode()
    if not address.isprintable() and any(octet < 32 or octet == 127 for octet in path):
        raise ValueError("a control character in an address")
    return path


def _stuffed(content: bytes) -> bytes:
    """Dots that begin a line are doubled (RFC 5321 section 4.5.2)."""
    if b"\n." in content:
        content = content.replace(b"\n.", b"\n..")
    if content.startswith(b"."):
        content = b"." + content
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def _bdat(chunk: bytes | memoryview, last: bytes = b"") -> bytes:
    return b"BDAT %d%b\r\n" % (len(chunk), last)


def _unknown(broken: LineBroken | None) -> Answer:
    """The letter's end was written and not answered: nobody knows whether it was taken (design rule 8)."""
    return Answer("dot", 0, broken.text if broken is not None else "no answer", dot_sent=True)


def _broken_off(commands: Opening, heard: Heard, broken: LineBroken) -> Answer:
    """The line broke before anything of the letter was written."""
    stage = next((stage for stage, _ in commands if stage not in heard), "mail")
    return Answer(stage if stage in ("rcpt", "data") else "mail", broken.code, broken.text)
