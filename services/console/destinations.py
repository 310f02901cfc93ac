"""`understudy destination`: the main servers, and what waits for them."""

from typing import Annotated

import typer

from services.console import show
from services.console.client import Client, path
from services.console.show import AsJson

app = typer.Typer(help="Main servers, and what waits for them.", no_args_is_help=True)

_COLUMNS = {
    "name": "Name",
    "state": "State",
    "waiting": "Waiting",
    "in_flight": "In flight",
    "oldest_waiting_seconds": "Oldest, s",
    "last_reply": "Last answer",
}


@app.command("list", epilog="Example: understudy destination list")
def list_destinations(as_json: AsJson = False) -> None:
    """List the main servers."""
    with Client() as client:
        found = list(client.all("/destinations"))
    if as_json:
        show.as_json(found)
    else:
        show.table(found, _COLUMNS)


@app.command("show", epilog="Example: understudy destination show main.example.com:587")
def show_destination(
    name: Annotated[str, typer.Argument(help="host:port, IPv6 in brackets")], as_json: AsJson = False
) -> None:
    """Show one main server."""
    with Client() as client:
        destination = client.call("GET", path("destinations", name))
    if as_json:
        show.as_json(destination)
    else:
        show.fields(destination)
