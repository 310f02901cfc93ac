"""`understudy destination`: the main servers, and what waits for them."""

from typing import Annotated, Any

import typer

from services.console import show
from services.console.client import Client, path
from services.console.show import AsJson

app = typer.Typer(help="Main servers, and what waits for them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="host:port, IPv6 in brackets")]
_SHOWN_STEPS = 20
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
def show_destination(name: Name, as_json: AsJson = False) -> None:
    """Show one main server."""
    with Client() as client:
        destination = client.call("GET", path("destinations", name))
    if as_json:
        show.as_json(destination)
        return
    history = destination.pop("history")
    show.fields(destination)
    if history:
        show.line("")
        show.table(history[-_SHOWN_STEPS:], {"at": "At", "state": "State", "why": "Why", "by": "By"})


@app.command("probe", epilog="Example: understudy destination probe main.example.com:587")
def probe(name: Name, as_json: AsJson = False) -> None:
    """Ask a main server now whether it is there."""
    _act(name, "probe", as_json=as_json)


@app.command("suspend", epilog="Example: understudy destination suspend main.example.com:587")
def suspend(name: Name, as_json: AsJson = False) -> None:
    """Send nothing more to it until it is resumed; mail is received and kept."""
    _act(name, "suspend", as_json=as_json)


@app.command("resume", epilog="Example: understudy destination resume main.example.com:587")
def resume(name: Name, as_json: AsJson = False) -> None:
    """End a suspension; all that waits is due now."""
    _act(name, "resume", as_json=as_json)


@app.command("drain", epilog="Example: understudy destination drain main.example.com:587")
def drain(name: Name, as_json: AsJson = False) -> None:
    """Try it now, whatever was known of it; all that waits is due now."""
    _act(name, "drain", as_json=as_json)


@app.command("forward-now", epilog="Example: understudy destination forward-now main.example.com:587 --parked")
def forward_now(
    name: Name,
    parked: Annotated[bool, typer.Option("--parked", help="arm parked letters again, too")] = False,
    as_json: AsJson = False,
) -> None:
    """Make all letters that wait for it due now."""
    with Client() as client:
        answer = client.call("POST", path("destinations", name, "forward-now"), params={"parked": parked})
    show.as_json(answer) if as_json else show.line(f"{answer['letters']} letters are due now")


def _act(name: str, deed: str, *, as_json: bool) -> None:
    with Client() as client:
        destination: dict[str, Any] = client.call("POST", path("destinations", name, deed))
    if as_json:
        show.as_json(destination)
        return
    said = destination["last_reply"]
    heard = f"; last heard: {said['code'] or ''} {said['text']}".replace(":  ", ": ") if said else ""
    show.line(f"{destination['name']} is {destination['state']}, {destination['waiting']} letters wait{heard}")
