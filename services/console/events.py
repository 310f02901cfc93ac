"""`understudy events`: the topics as they are written."""

import asyncio
import contextlib
from typing import Annotated

import typer

from services.console import here
from services.console.show import AsJson
from shared.events import TOPICS
from shared.settings import Common


def events(
    topic: Annotated[list[str] | None, typer.Option(help="only this one; can be repeated")] = None,
    letter: Annotated[str | None, typer.Option(help="only what concerns this letter")] = None,
    address: Annotated[str | None, typer.Option(help="only what concerns this mailbox")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="all that is kept, up to now")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="go on with what comes; so without --from-beginning")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Watch the events, without taking part: nobody's position moves."""
    unknown = set(topic or []) - set(TOPICS)
    if unknown:
        raise typer.BadParameter(f"there are {', '.join(TOPICS)}", param_hint="--topic")
    # Here, because Kafka's driver takes longer to load than any other verb to run.
    from services.console.event_lines import watch

    watching = watch(
        here.settings(Common),
        topic or list(TOPICS),
        letter=letter,
        address=address.lower() if address else None,
        from_beginning=from_beginning,
        follow=follow or not from_beginning,
        as_json=as_json,
    )
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(watching)
