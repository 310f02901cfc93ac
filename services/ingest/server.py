"""One SMTP session: bytes come in, commands and letters are found in them, replies go out in order.

aiosmtpd's SMTP with its command loop, its timers and its reader of DATA replaced: it makes a stream, a task and tables
of methods for every connection, a timer for every command, and refuses lines over 1,001 bytes. Here the bytes are gone
through as they arrive, and only what has to wait (an unknown recipient, TLS, the bus) is a task.
"""

import asyncio
import ssl
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from aiosmtpd.smtp import SMTP, Session

from services.ingest import metrics, replies
from services.ingest.budget import Share
from services.ingest.commands import COMMANDS
from services.ingest.data import LetterReader
from services.ingest.handler import Transaction
from services.ingest.replies import Refused, Reply
from services.ingest.upload import RATE_SECONDS, Upload
from shared import logs

if TYPE_CHECKING:
    from services.ingest.listener import Listener

log = logs.get("ingest")

# RFC 5321 section 4.5.3.1.4 asks for 512 and more with extensions; the rest of a longer line is thrown away.
LINE_LIMIT_BYTES = 4096
ERROR_LIMIT = 10
# A client that sends on while its answer is awaited is read no further than this.
_AHEAD_BYTES = 64 * 1024
_HANDSHAKE_SECONDS = 30.0
# What stands for it between letters, for all sessions: no sender, so that no command adds to it.
_NO_TRANSACTION = Transaction()


class IngestSMTP(SMTP):
    """A session, from the greeting to the last reply."""

    session: Session
    envelope: Transaction
    transport: asyncio.Transport

    def __init__(self, listener: "Listener") -> None:
        # Not SMTP.__init__: what it builds for each connection is built once, in the listener.
        self.listener = listener
        self._out: list[bytes] = []
        self._pending = bytearray()
        self._upload: Upload | None = None
        self._errors = 0
        self._heard_at = listener.now
        self._is_waiting = False  # for an answer that takes time
        self._is_blocked = False  # the client does not read its replies
        self._is_skipping = False  # the rest of a line that is too long
        self._is_leaving = False
        self._is_ended = False  # the client has closed its side
        self._is_gone = False

    def __del__(self) -> None:
        """Not StreamReaderProtocol's, which looks in vain for the stream that we do not have."""

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._begin_session(_address(transport.get_extra_info("peername")))
        refusal = self.listener.admit(self)
        if refusal is not None:
            self.leave(refusal)
        else:
            self._out.append(self.listener.greeting.wire)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.listener.now
        if self._is_waiting or self._is_blocked:
            self._pending += data
            if len(self._pending) > _AHEAD_BYTES:
                self.transport.pause_reading()
            return
        if self._pending:
            self._pending += data
            data = self._taken_pending()
        self._go_through(data)

    def eof_received(self) -> bool:
        """True keeps our side open for an answer that is awaited; over TLS there is no half-closing."""
        self._is_ended = True
        return self._is_waiting and self.session.ssl is None

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_gone:
            return
        self._is_gone = True
        self.listener.forget(self)
        if self._upload is not None:
            log.info("upload_broken_off", client=self.session.peer, size=self._upload.letter.size)
            self._drop_upload()

    def pause_writing(self) -> None:
        self._is_blocked = True

    def resume_writing(self) -> None:
        self._is_blocked = False
        self._resume()

    # What the listener's clock and its end call

    def check_deadlines(self, now: float, idle_seconds: float) -> None:
        """Close a session that has been silent, or whose upload is too slow."""
        if self._is_waiting or self._is_leaving:
            return
        if self._upload is not None:
            self._check_rate(self._upload, now)
        elif now - self._heard_at > idle_seconds:
            self.leave(replies.IDLE_TOO_LONG)
            self._flush()

    def part(self) -> None:
        """The service ends: say so now, unless a letter is under way; then after it."""
        if not self._is_waiting and self._upload is None:
            self.leave(replies.SHUTTING_DOWN)
            self._flush()

    def abort(self) -> None:
        self.transport.abort()

    # What commands call

    def begin_transaction(self) -> Transaction:
        self.envelope = Transaction()
        return self.envelope

    def end_transaction(self) -> None:
        self.envelope = _NO_TRANSACTION

    def begin_letter(self, share: Share) -> None:
        """What follows is a letter, until its end."""
        letter = LetterReader(self.listener.settings.max_message_bytes)
        self._upload = Upload(letter, share, self.listener.now)

    def answer_later(self, answer: Coroutine[Any, Any, Reply | None]) -> None:
        """Go no further until `answer` is there. It runs to its end even if the client hangs up."""
        self._is_waiting = True
        self.listener.keep(answer).add_done_callback(self._answered)

    def leave(self, reply: Reply) -> None:
        """Say a last thing, and close."""
        if not self._is_leaving:
            self._is_leaving = True
            self._say(reply)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Hand the connection to TLS.

        What came behind the command came in clear, maybe from somebody in the middle: it is dropped.
        """
        self.transport.pause_reading()
        self._say(replies.READY_FOR_TLS)
        self.answer_later(self._upgrade(context))

    # Going through what has come in

    def _go_through(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not (self._is_waiting or self._is_leaving):
            if self._upload is not None:
                at = len(data) - self._read_on(self._upload, data[at:] if at else data)
                continue
            end = data.find(b"\n", at)
            if end < 0:
                break
            reply = self._reply_to(data[at:end])
            if reply is not None:
                self._say(reply)
            at = end + 1
        if at < len(data):
            self._put_aside(data[at:])
        if self.listener.is_closing and not self._is_waiting and self._upload is None:
            self.leave(replies.SHUTTING_DOWN)
        self._flush()

    def _put_aside(self, rest: bytes) -> None:
        """Keep what is for later: lines behind an awaited answer, or the beginning of a line."""
        self._pending += rest
        if not self._is_waiting and len(self._pending) > LINE_LIMIT_BYTES:
            self._is_skipping = True
            self._pending.clear()

    def _reply_to(self, line: bytes) -> Reply | None:
        if self._errors >= ERROR_LIMIT:
            self.leave(replies.TOO_MANY_ERRORS)
            return None
        if self._is_skipping or len(line) > LINE_LIMIT_BYTES:
            self._is_skipping = False
            return replies.LINE_TOO_LONG
        verb, _, argument = line.rstrip().partition(b" ")
        command = COMMANDS.get(verb.upper())
        if command is None:
            return replies.UNKNOWN_COMMAND
        try:
            return command.run(self, argument.lstrip())
        except Exception as error:
            return _reply_to_error(error)

    def _read_on(self, upload: Upload, block: bytes) -> int:
        """Give `block` to the letter; returns how many bytes came behind its end."""
        rest = upload.feed(block)
        if rest is None:
            return 0
        self._upload = None
        self._end_letter(upload.letter, upload.share)
        return len(rest)

    def _end_letter(self, letter: LetterReader, share: Share) -> None:
        transaction = self.envelope
        self.end_transaction()
        handler = self.listener.handler
        objection = handler.objection(letter)
        if objection is not None:
            share.release()
            self._say(objection)
            log.info("letter_refused", client=self.session.peer, sender=transaction.mail_from, code=objection.code)
            return
        try:
            reply = handler.take(self.session, transaction, letter, share, self._answer_letter)
        except Exception as error:
            share.release()
            reply = _reply_to_error(error)
        if reply is not None:
            self._say(reply)
        else:
            self._is_waiting = True

    def _answer_letter(self, reply: Reply) -> None:
        if not reply.is_refusal:
            self._errors = 0
        self._answer(reply)

    def _drop_upload(self) -> None:
        if self._upload is not None:
            self._upload.share.release()
            self._upload = None

    # Replies

    def _say(self, reply: Reply) -> None:
        self._out.append(reply.wire)
        if reply.is_refusal:
            metrics.refused(reply)
            self._errors += reply.code >= 500

    def _flush(self) -> None:
        """Send what was said since the last time, in one piece."""
        if self.transport.is_closing():
            return
        if self._out:
            self.transport.write(b"".join(self._out))
            self._out.clear()
        if self._is_leaving:
            # Who does not read his replies will not read the last one either.
            self.transport.abort() if self._is_blocked else self.transport.close()

    def _answered(self, task: "asyncio.Task[Reply | None]") -> None:
        self._answer(_outcome(task))

    def _answer(self, reply: Reply | None) -> None:
        """What was awaited is there."""
        if self._is_gone:
            return
        self._is_waiting = False
        self._heard_at = self.listener.now
        if reply is not None:
            self._say(reply)
        self._resume()

    def _resume(self) -> None:
        """Go on with what came meanwhile."""
        if self._is_waiting or self._is_blocked or self._is_gone:
            return
        self._go_through(self._taken_pending())
        if self._is_ended and not self._is_waiting:
            self.transport.close()
        self.transport.resume_reading()

    def _taken_pending(self) -> bytes:
        data = bytes(self._pending)
        self._pending.clear()
        return data

    # TLS, deadlines

    def _begin_session(self, peer: str) -> None:
        self.session = Session(self.listener.loop)
        self.session.peer = peer
        self.end_transaction()

    async def _upgrade(self, context: ssl.SSLContext) -> None:
        """RFC 3207 section 4.2: after it, nothing is known that was said before it."""
        try:
            transport = await self.listener.loop.start_tls(
                self.transport, self, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except OSError as error:
            log.info("tls_failed", client=self.session.peer, error=str(error))
            self.abort()
            return
        finally:
            self._pending.clear()
        if transport is None or self._is_gone:
            return
        self.transport = transport
        self._begin_session(self.session.peer or "")
        secured: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self.session.ssl = {"version": secured.version(), "cipher": secured.cipher()}

    def _check_rate(self, upload: Upload, now: float) -> None:
        settings = self.listener.settings
        over_seconds = min(RATE_SECONDS, settings.idle_seconds)
        if upload.is_too_slow(now, minimum_rate_bytes=settings.minimum_rate_bytes, over_seconds=over_seconds):
            log.info("upload_too_slow", client=self.session.peer, size=upload.letter.size)
            self._drop_upload()
            self.leave(replies.TOO_SLOW)
            self._flush()


def _address(peername: Any) -> str:
    """The client's address; IPv4 in its own form where it came by a socket for both."""
    return str(peername[0]).removeprefix("::ffff:") if peername else "unknown"


def _outcome(task: "asyncio.Task[Reply | None]") -> Reply | None:
    if task.cancelled():
        return replies.LOCAL_ERROR
    error = task.exception()
    return _reply_to_error(error) if error is not None else task.result()


def _reply_to_error(error: BaseException) -> Reply:
    """A fault of ours is passing and nobody's business: 451 without a word of what it was."""
    if isinstance(error, Refused):
        return error.reply
    log.error("session_failed", exc_info=error)
    return replies.LOCAL_ERROR
