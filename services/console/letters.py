"""`understudy letter`: letters in mailboxes, and their forwards."""

import base64
import sys
from typing import Annotated

import typer

from services.console import show
from services.console.client import Client, good, path
from services.console.show import AsJson

app = typer.Typer(help="Letters, and what becomes of them.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(help="the letter's id")]

_COLUMNS = {
    "id": "Id",
    "received_at": "Received",
    "mailbox": "Folder",
    "from": "From",
    "subject": "Subject",
    "size": "Size",
    "forward.state": "Forward",
    "forward.attempts": "Tries",
    "forward.next_attempt_at": "Next try",
}


@app.command("list", epilog="Example: understudy letter list ann@example.test --forward deferred")
def list_letters(
    address: Annotated[str, typer.Argument(help="the user's address")],
    mailbox: Annotated[str | None, typer.Option(help="one folder; all without it")] = None,
    forward: Annotated[str | None, typer.Option(help="pending, deferred, in_flight, parked, forwarded ...")] = None,
    q: Annotated[str | None, typer.Option("--q", help="a text in from, to, subject or sender")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many at most")] = 100,
    as_json: AsJson = False,
) -> None:
    """List a user's letters, newest first."""
    with Client() as client:
        found = client.all(path("users", address, "letters"), most=limit, mailbox=mailbox, forward=forward, q=q)
        letters = list(found)
    if as_json:
        show.as_json(letters)
    else:
        show.table([show.flat(letter) for letter in letters], _COLUMNS)


@app.command("show", epilog="Example: understudy letter show 01JABCDEFGHJKMNPQRSTVWXYZ0-ABCDEFGHIJKLMNOP")
def show_letter(letter_id: LetterId, as_json: AsJson = False) -> None:
    """Show a letter and each try to forward it."""
    with Client() as client:
        letter = client.call("GET", path("letters", letter_id))
        attempts = client.call("GET", path("letters", letter_id, "attempts"))["items"]
    if as_json:
        show.as_json({**letter, "attempts": attempts})
        return
    show.fields(show.flat(letter))
    if attempts:
        show.line("")
        show.table(attempts, {"at": "Tried at", "reply": "Answer", "seconds": "Seconds", "forwarder": "By"})


@app.command(epilog="Example: understudy letter raw 01JABCDEFGHJKMNPQRSTVWXYZ0-ABCDEFGHIJKLMNOP > letter.eml")
def raw(letter_id: LetterId, as_json: AsJson = False) -> None:
    """Print a letter byte for byte."""
    with Client() as client:
        content = good(client.ask("GET", path("letters", letter_id, "raw"))).content
    if as_json:
        show.as_json({"id": letter_id, "size": len(content), "base64": base64.b64encode(content).decode()})
    else:
        sys.stdout.buffer.write(content)


@app.command(epilog="Example: understudy letter delete 01JABCDEFGHJKMNPQRSTVWXYZ0-ABCDEFGHIJKLMNOP")
def delete(
    letter_id: LetterId,
    purge: Annotated[bool, typer.Option("--purge", help="take a letter in the bin away for good")] = False,
    as_json: AsJson = False,
) -> None:
    """Move a letter to the bin and cancel its forward."""
    with Client() as client:
        answer = client.call("DELETE", path("letters", letter_id), params={"purge": True} if purge else None)
    if as_json:
        show.as_json(answer)
    elif purge:
        show.line("purged")
    else:
        show.line(f"in the bin; forward: {answer['forward']}")


@app.command(epilog="Example: understudy letter forward-now --user ann@example.test --parked")
def forward_now(
    letter_ids: Annotated[list[str] | None, typer.Argument(help="ids of letters")] = None,
    user: Annotated[str | None, typer.Option(help="all letters of this user that wait")] = None,
    parked: Annotated[bool, typer.Option("--parked", help="with --user: arm parked letters again, too")] = False,
    as_json: AsJson = False,
) -> None:
    """Try waiting letters now; arm parked ones again."""
    if bool(letter_ids) == bool(user):
        raise typer.BadParameter("give ids of letters, or --user")
    with Client() as client:
        if user:
            answer = client.call("POST", path("users", user, "forward-now"), params={"parked": parked})
            show.as_json(answer) if as_json else show.line(f"{answer['letters']} letters are due now")
            return
        letters = [client.call("POST", path("letters", one, "forward-now")) for one in letter_ids or []]
    if as_json:
        show.as_json(letters[0] if len(letters) == 1 else letters)
        return
    for letter in letters:
        show.line(f"{letter['id']}: {letter['forward']['state']}, to {letter['forward']['destination']}")
