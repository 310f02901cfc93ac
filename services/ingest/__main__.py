"""Ingest as a process: what it is made of, and what runs beside what."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import Any

from services.ingest.budget import Budget
from services.ingest.handler import Handler, letters_to
from services.ingest.listener import Listener
from services.ingest.recipients import Recipients
from shared import logs, ops
from shared.bus.producer import Producer
from shared.certificate import certificate
from shared.mailbox.connect import connect
from shared.mailbox.users import Users
from shared.run import run
from shared.settings import Ingest, SettingsError, load_or_exit

log = logs.get("ingest")


@contextlib.asynccontextmanager
async def receiving(settings: Ingest) -> AsyncIterator[tuple[Listener, Producer, Recipients]]:
    """Receive mail while the block runs; at its end, letters under way are finished.

    Raises:
        SettingsError: the port or the certificate cannot be used.
    """
    producer = Producer(settings, "understudy-ingest", silence_seconds=settings.broker_silence_seconds)
    recipients = Recipients(Users(connect(settings)), settings.recipients_cache)
    letters = letters_to(producer, settings)
    handler = Handler(settings, letters, recipients)
    listener = Listener(settings, handler, Budget(settings.ingest_memory_bytes), certificate(settings))
    async with contextlib.AsyncExitStack() as stack:
        await producer.start()
        stack.push_async_callback(producer.stop)
        parts = (letters.run(), recipients.follow(), recipients.keep(), listener.watch_deadlines())
        await stack.enter_async_context(_beside(*parts))
        try:
            await listener.start()
        except OSError as error:
            raise SettingsError(f"cannot listen on {settings.smtp_host}:{settings.smtp_port}: {error}") from None
        stack.push_async_callback(listener.close)
        log.info("listening", host=settings.smtp_host, port=listener.port)
        yield listener, producer, recipients


@contextlib.asynccontextmanager
async def _beside(*parts: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `parts` beside the block; one that fails ends the block: the service must be started again whole."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in parts]
        yield
        for task in tasks:
            task.cancel()


async def serve(settings: Ingest, stop: asyncio.Event) -> None:
    """Receive mail until `stop` is set."""
    async with receiving(settings) as (_, producer, recipients):
        ready = partial(_ready, producer, recipients)
        async with ops.serve(settings.ops_host, settings.ingest_ops_port, live=lambda: True, ready=ready):
            await stop.wait()


def _ready(producer: Producer, recipients: Recipients) -> bool | str:
    if not producer.connected:
        return "not connected to Kafka yet"
    if producer.silent:
        return "Kafka does not answer"
    return recipients.is_usable or "no recipients known yet"


def main() -> None:
    settings = load_or_exit(Ingest)
    run("ingest", settings, partial(serve, settings))


if __name__ == "__main__":
    main()
