"""A stand-in main server, for trying things and for tests: keeps every letter it takes, and misbehaves when told to.

It is told through `behaviour.json` in its folder, which it looks at ten times a second, so that another process can
make it go away. Each letter is a file as it came, byte for byte; `letters.jsonl` has a line for each. It is our own few
lines of SMTP because it must take letters of any shape, thousands a second, and change nothing.
"""

import asyncio
import json
import os
import re
import signal
import ssl
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Keep = Literal["files", "count"]

LOOK_SECONDS = 0.1
READ_BYTES = 256 * 1024
COMMAND_BYTES = 64 * 1024
END_OF_DATA = b"\r\n.\r\n"
RECEIPT = re.compile(rb"\sid\s+([0-9A-Za-z]+)")
NORMAL: dict[str, Any] = {"mode": "normal"}


def behave(folder: Path, **behaviour: Any) -> None:
    """Tell the stand-in of `folder` how to behave, from within 0.1 s on.

    `mode="normal"`, `mode="away"`, `mode="slow", seconds=2`, or
    `mode="refuse", code=550, text="no such user", at="rcpt"` (or `mail`, `data`, `dot`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / ".behaviour.new"
    fresh.write_text(json.dumps({**NORMAL, **behaviour}) + "\n")
    fresh.replace(folder / "behaviour.json")


def behaviour_of(folder: Path) -> dict[str, Any]:
    """How it was last told to behave."""
    try:
        return {**NORMAL, **json.loads((folder / "behaviour.json").read_text())}
    except (OSError, ValueError):
        return NORMAL


class Letters:
    """What was taken, in order. The sequence goes on where the last run ended."""

    def __init__(self, folder: Path, keep: Keep) -> None:
        self.count = 0
        self._keep = keep
        self._files = folder / "letters"
        self._files.mkdir(parents=True, exist_ok=True)
        self._list = (folder / "letters.jsonl").open("ab", buffering=0)
        self._sequence = max((int(path.name.split("-")[0]) for path in self._files.glob("*.eml")), default=0)

    def add(self, sender: str, recipients: list[str], letter: bytes) -> None:
        """Keep one letter. Not synced to disk: nobody's mail depends on a stand-in."""
        self.count += 1
        if self._keep == "count":
            return
        self._sequence += 1
        receipt = receipt_id(letter)
        name = f"{self._sequence:07d}-{receipt or 'unknown'}.eml"
        (self._files / name).write_bytes(letter)
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "mail_from": sender,
            "rcpt_tos": recipients,
            "size": len(letter),
            "receipt_id": receipt,
            "file": f"letters/{name}",
        }
        self._list.write(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Nothing more comes."""
        self._list.close()


def receipt_id(letter: bytes) -> str | None:
    """The id clause (RFC 5321 section 4.4) of the first header, if that is a Received header."""
    if letter[:9].lower() != b"received:":
        return None
    end = re.search(rb"\r\n(?![ \t])", letter[:8192])
    found = RECEIPT.search(letter[: end.start() if end else 8192])
    return found[1].decode() if found else None


class Standin:
    """The server: listens or not, and knows how it was told to behave."""

    def __init__(
        self, host: str, port: int, folder: Path, keep: Keep = "files", tls: ssl.SSLContext | None = None
    ) -> None:
        self.host, self.port, self.folder, self.tls = host, port, folder, tls
        self.behaviour = behaviour_of(folder)
        self.letters = Letters(folder, keep)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, unless told to be away; port 0 becomes the one that was free."""
        await self._follow()
        self._watch = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Close everything."""
        if self._watch is not None:
            self._watch.cancel()
        self._leave()
        self.letters.close()

    async def _look(self) -> None:
        """Read the behaviour anew when its file was replaced."""
        seen = self._stamp()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (stamp := self._stamp()) != seen:
                seen = stamp
                self.behaviour = behaviour_of(self.folder)
                await self._follow()

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = (self.folder / "behaviour.json").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    async def _follow(self) -> None:
        if self.behaviour["mode"] == "away":
            self._leave()
        elif self._server is None:
            self._server = await asyncio.start_server(self._connected, self.host, self.port, backlog=1024)
            self.port = self._server.sockets[0].getsockname()[1]

    def _leave(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._connections):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            await Session(self, reader, writer).run()
        except (OSError, EOFError, RuntimeError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()


class Session:
    """One client. Commands may come many at once (RFC 2920): what was read too far stays in the buffer."""

    def __init__(self, server: Standin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._buffer = bytearray()
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._is_encrypted = False

    async def run(self) -> None:
        """Greet, and answer until QUIT or the end of the line."""
        await self._reply("220 standin ESMTP")
        while True:
            line = (await self._take_until(b"\r\n", COMMAND_BYTES)).decode(errors="surrogateescape")
            verb, _, argument = line.partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    await self._hello()
                case "STARTTLS" if self._server.tls and not self._is_encrypted:
                    await self._start_tls(self._server.tls)
                case "MAIL":
                    await self._mail(argument)
                case "RCPT":
                    await self._rcpt(argument)
                case "DATA":
                    await self._data()
                case "RSET" | "NOOP":
                    self._forget()
                    await self._reply("250 2.0.0 Ok")
                case "QUIT":
                    await self._reply("221 2.0.0 Bye")
                    await self._writer.drain()
                    return
                case _:
                    await self._reply("500 5.5.1 Unknown command")

    async def _hello(self) -> None:
        words = ["standin", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE"]
        if self._server.tls and not self._is_encrypted:
            words.append("STARTTLS")
        self._forget()
        lines = [f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]
        await self._reply("\r\n".join(lines))

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        await self._reply("220 2.0.0 Go ahead")
        # RFC 3207 section 5: what came in clear after STARTTLS must not count as said under TLS.
        self._buffer.clear()
        await self._writer.start_tls(context)
        self._is_encrypted = True
        self._forget()

    async def _mail(self, argument: str) -> None:
        if await self._was_refused("mail"):
            return
        self._forget()
        self._sender = address(argument)
        await self._reply("250 2.1.0 Ok")

    async def _rcpt(self, argument: str) -> None:
        if self._sender is None:
            await self._reply("503 5.5.1 MAIL first")
        elif not await self._was_refused("rcpt"):
            self._recipients.append(address(argument))
            await self._reply("250 2.1.5 Ok")

    async def _data(self) -> None:
        if not self._recipients:
            await self._reply("503 5.5.1 RCPT first")
            return
        if await self._was_refused("data"):
            return
        await self._reply("354 End data with <CR><LF>.<CR><LF>")
        letter = await self._read_letter()
        sender, recipients = self._sender or "", self._recipients
        self._forget()
        if not await self._was_refused("dot"):
            self._server.letters.add(sender, recipients, letter)
            await self._reply("250 2.0.0 Ok: kept")

    async def _read_letter(self) -> bytes:
        """RFC 5321 section 4.5.2: only CRLF.CRLF ends the letter, and a leading dot was doubled on the way."""
        # A letter without any line is ".\r\n" at once: the CRLF in front of it was that of DATA.
        self._buffer[:0] = b"\r\n"
        letter = await self._take_until(END_OF_DATA)
        return (letter + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]

    async def _take_until(self, end: bytes, most: int | None = None) -> bytes:
        looked = 0
        while (found := self._buffer.find(end, looked)) < 0:
            looked = max(0, len(self._buffer) - len(end) + 1)
            if most is not None and len(self._buffer) > most:
                raise EOFError
            chunk = await self._reader.read(READ_BYTES)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        taken = bytes(memoryview(self._buffer)[:found])
        del self._buffer[: found + len(end)]
        return taken

    async def _was_refused(self, moment: str) -> bool:
        behaviour = self._server.behaviour
        if behaviour["mode"] != "refuse" or behaviour.get("at", "rcpt") != moment:
            return False
        await self._reply(f"{behaviour.get('code', 550)} {behaviour.get('text', 'refused by the stand-in')}")
        return True

    async def _reply(self, text: str) -> None:
        behaviour = self._server.behaviour
        if behaviour["mode"] == "slow":
            await asyncio.sleep(float(behaviour.get("seconds", 1)))
        self._writer.write(text.encode() + b"\r\n")
        if not self._buffer:
            await self._writer.drain()

    def _forget(self) -> None:
        self._sender = None
        self._recipients = []


def address(argument: str) -> str:
    """What stands between the angle brackets of `FROM:<...>` or `TO:<...>`."""
    found = re.search(r"<([^>]*)>", argument)
    return found[1] if found else argument.partition(":")[2].split(" ")[0]


async def serve(host: str, port: int, folder: Path, keep: Keep = "files", tls: ssl.SSLContext | None = None) -> Standin:
    """Start a stand-in main server; `stop` ends it."""
    server = Standin(host, port, folder, keep, tls)
    await server.start()
    return server


app = typer.Typer(help="A stand-in main server, for trying things.", no_args_is_help=True)


def default_folder() -> Path:
    """The stand-in of the data folder that `make run` uses."""
    return Path(os.environ.get("UNDERSTUDY_DATA") or ".data") / "standin"


Folder = Annotated[Path, typer.Option(default_factory=default_folder, help="its folder", show_default="DATA/standin")]
Json = Annotated[bool, typer.Option("--json", help="answer in JSON")]


@app.command(epilog="Example: understudy standin run --port 2626 --folder /tmp/standin")
def run(
    folder: Folder,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 2626,
    count_only: Annotated[bool, typer.Option("--count-only", help="keep no letter, only count")] = False,
    as_json: Json = False,
) -> None:
    """Run one in the foreground; what it takes is in FOLDER/letters and FOLDER/letters.jsonl."""
    import uvloop

    uvloop.run(_run(host, port, folder, "count" if count_only else "files", as_json))


async def _run(host: str, port: int, folder: Path, keep: Keep, as_json: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        server = await serve(host, port, folder, keep)
    except OSError as error:
        print(f"the stand-in cannot listen on {host}:{port} ({error.strerror}): name another --port", file=sys.stderr)
        raise typer.Exit(1) from None
    place = {"host": host, "port": server.port, "folder": str(folder), "behaviour": server.behaviour}
    print(
        json.dumps(place) if as_json else f"stand-in main server on {host}:{server.port}, letters in {folder}",
        flush=True,
    )
    started = time.monotonic()
    await stopped.wait()
    await server.stop()
    if keep == "count":
        print(f"{server.letters.count} letters in {time.monotonic() - started:.1f} s", flush=True)


def _tell(folder: Path, as_json: bool, sentence: str, **behaviour: Any) -> None:
    if not folder.is_dir():
        print(f"there is no stand-in at {folder}: start one, or name its folder with --folder", file=sys.stderr)
        raise typer.Exit(1)
    behave(folder, **behaviour)
    print(json.dumps(behaviour_of(folder)) if as_json else sentence)


@app.command(epilog="Example: understudy standin away")
def away(folder: Folder, as_json: Json = False) -> None:
    """Make it go away: it closes its port and every connection."""
    _tell(folder, as_json, "the stand-in is away", mode="away")


@app.command(epilog="Example: understudy standin back")
def back(folder: Folder, as_json: Json = False) -> None:
    """Make it behave normally again."""
    _tell(folder, as_json, "the stand-in is back", mode="normal")


@app.command(epilog="Example: understudy standin slow 2.5")
def slow(
    folder: Folder,
    seconds: Annotated[float, typer.Argument(min=0, help="seconds before each reply")],
    as_json: Json = False,
) -> None:
    """Make it wait before each reply."""
    _tell(folder, as_json, f"the stand-in waits {seconds:g} s before each reply", mode="slow", seconds=seconds)


@app.command(epilog="Example: understudy standin refuse 550 --text '5.1.1 no such user' --at rcpt")
def refuse(
    folder: Folder,
    code: Annotated[int, typer.Argument(min=400, max=599, help="reply code")],
    text: Annotated[str, typer.Option(help="what the reply says")] = "refused by the stand-in",
    at: Annotated[str, typer.Option(help="mail, rcpt, data, or dot: which command is answered so")] = "rcpt",
    as_json: Json = False,
) -> None:
    """Make it refuse every letter."""
    if at not in ("mail", "rcpt", "data", "dot"):
        raise typer.BadParameter("one of mail, rcpt, data, dot", param_hint="--at")
    _tell(folder, as_json, f"the stand-in answers {code} at {at}", mode="refuse", code=code, text=text, at=at)


if __name__ == "__main__":
    app()
