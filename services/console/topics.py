"""`understudy topics`: Kafka's side of the pipeline, made and checked by code."""

import asyncio

import typer

from services.console import here, show
from services.console.refused import Refused
from services.console.show import AsJson
from shared.settings import Common

app = typer.Typer(help="The topics.", no_args_is_help=True)


@app.command(epilog="Example: understudy topics create")
def create(as_json: AsJson = False) -> None:
    """Make the topics that are missing."""
    settings = here.settings(Common)
    made = asyncio.run(_created(settings))
    if as_json:
        show.as_json({"created": made})
    else:
        show.line("\n".join(f"made {name}" for name in made) or "all topics are there")


@app.command(epilog="Example: understudy topics check")
def check(as_json: AsJson = False) -> None:
    """Are the topics so that no mail can be lost? Ends with 1 where they are not."""
    settings = here.settings(Common)
    names = asyncio.run(_checked(settings))
    if as_json:
        show.as_json({"ok": True, "topics": names})
    else:
        show.line("all topics are as they have to be")


# Kafka's driver is imported where it is needed: it takes longer to load than the other verbs to run.


async def _created(settings: Common) -> list[str]:
    from shared.bus import topics
    from shared.bus.producer import BusUnavailable

    try:
        return await topics.create(settings)
    except BusUnavailable as error:
        raise no_broker(settings, error) from None


async def _checked(settings: Common) -> list[str]:
    from shared.bus import topics
    from shared.bus.producer import BusUnavailable

    try:
        await topics.check(settings)
    except topics.TopicsUnsafe as error:
        raise Refused(str(error).replace("\n", "; ")) from None
    except BusUnavailable as error:
        raise no_broker(settings, error) from None
    return [plan.name for plan in topics.planned(settings)]


def no_broker(settings: Common, error: Exception) -> Refused:
    """What to do where no broker answers."""
    return Refused(f"{error}; is Kafka running at {settings.kafka_bootstrap} (UNDERSTUDY_KAFKA_BOOTSTRAP)?")
