"""The command `understudy`. A verb is a few lines: it asks the HTTP API, or starts a service in its place."""

import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from services.console import destinations, doctor, events, letters, standin, topics, users
from services.console import settings as settings_verb
from services.console.refused import Refused
from shared.settings import PREFIX

app = typer.Typer(
    help="Understudy stands in for a mail server: takes mail, keeps it readable, forwards it when that is back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(users.app, name="user")
app.add_typer(letters.app, name="letter")
app.add_typer(destinations.app, name="destination")
app.add_typer(topics.app, name="topics")
app.add_typer(standin.app, name="standin")
app.command("events", epilog="Example: understudy events --topic stored --address ann@example.test")(events.events)
app.command("doctor", epilog="Example: understudy doctor")(doctor.doctor)
app.command("settings", epilog="Example: understudy settings --service forwarder")(settings_verb.settings)


LogAsJson = Annotated[bool, typer.Option("--json", help="log lines in JSON")]


@app.command(epilog="Example: UNDERSTUDY_DATA=.data understudy up")
def up(as_json: LogAsJson = False) -> None:
    """Run the whole product on this machine, in the foreground; what `make run` calls."""
    from deploy.local.up import up as everything

    _log(as_json)
    raise typer.Exit(everything())


@app.command(epilog="Example: understudy ingest")
def ingest(as_json: LogAsJson = False) -> None:
    """Run the service that takes letters over SMTP."""
    _become("ingest", as_json)


@app.command(epilog="Example: understudy store")
def store(as_json: LogAsJson = False) -> None:
    """Run the service that keeps letters and shows them."""
    _become("store", as_json)


@app.command(epilog="Example: UNDERSTUDY_DATA=.data understudy forwarder   (one more beside a running `make run`)")
def forwarder(as_json: LogAsJson = False) -> None:
    """Run the service that hands letters to the main servers."""
    _become("forwarder", as_json)


@app.command(epilog="Example: understudy pruner")
def pruner(as_json: LogAsJson = False) -> None:
    """Run the service that takes away what has been kept long enough."""
    _become("pruner", as_json)


def _become(service: str, as_json: bool) -> NoReturn:
    """In our place, so that signals and exit code are the service's own."""
    _log(as_json)
    os.execv(sys.executable, [sys.executable, "-m", f"services.{service}"])  # noqa: S606 - no shell is wanted


def _log(as_json: bool) -> None:
    if as_json:
        os.environ[f"{PREFIX}LOG_FORMAT"] = "json"


def main() -> None:
    """Exit code 0: done; 1: refused, with one line that says why; 2: wrong usage."""
    # What libraries have to say besides would make it more than one line.
    logging.disable(logging.CRITICAL)
    try:
        app()
    except Refused as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
