"""`understudy user`: users, one at a time and many at once."""

import sys
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from services.console import show
from services.console.client import Client, good, path
from services.console.refused import Refused
from services.console.show import AsJson

app = typer.Typer(help="Users, and where their mail goes.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="the user's address")]
Mode = Annotated[str | None, typer.Option(help="store_and_forward, forward_only or store_only")]
TargetAddress = Annotated[str | None, typer.Option(help="full address on the target server")]
TargetServer = Annotated[str | None, typer.Option(help="host[:port] or user:password@host:port; STARTTLS or plain")]
Tls = Annotated[str | None, typer.Option(help="none, opportunistic, required or verified")]
PassClient = Annotated[
    str | None, typer.Option(help="none, xclient or xforward: tell the target server who handed a letter in here")
]
Pop3Delete = Annotated[str | None, typer.Option(help="delete or hide: what a deletion by POP3 means")]
Enabled = Annotated[bool | None, typer.Option("--enable/--disable", help="whether he takes mail and may log in")]
Password = Annotated[str | None, typer.Option(help="his password; asked for where it is left out")]

_COLUMNS = {
    "address": "Address",
    "mode": "Mode",
    "target_address": "Target address",
    "target_server": "Target server",
    "tls": "TLS",
    "enabled": "Enabled",
}


@app.command(
    epilog="Example: understudy user add ann@example.test --target-address ann@main.test --target-server main.test:587"
)
def add(
    address: Address,
    password: Password = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="he never logs in here")] = False,
    mode: Mode = None,
    target_address: TargetAddress = None,
    target_server: TargetServer = None,
    tls: Tls = None,
    pass_client: PassClient = None,
    pop3_delete: Pop3Delete = None,
    enabled: Enabled = None,
    as_json: AsJson = False,
) -> None:
    """Make a user."""
    fields = _given(
        address=address,
        password=None if no_password else password or _asked_password(),
        mode=mode,
        target_address=target_address,
        target_server=target_server,
        tls=tls,
        pass_client=pass_client,
        pop3_delete=pop3_delete,
        enabled=enabled,
    )
    with Client() as client:
        _show(client.call("POST", "/users", json=fields), as_json)


@app.command(
    "set", epilog="Example: understudy user set ann@example.test --target-server 192.0.2.7:2525 --tls required"
)
def change(
    address: Address,
    mode: Mode = None,
    target_address: TargetAddress = None,
    target_server: TargetServer = None,
    tls: Tls = None,
    pass_client: PassClient = None,
    pop3_delete: Pop3Delete = None,
    enabled: Enabled = None,
    as_json: AsJson = False,
) -> None:
    """Change what is named of a user; the rest stays."""
    fields = _given(
        mode=mode,
        target_address=target_address,
        target_server=target_server,
        tls=tls,
        pass_client=pass_client,
        pop3_delete=pop3_delete,
        enabled=enabled,
    )
    if not fields:
        raise typer.BadParameter("name what is to change, as in --tls required")
    with Client() as client:
        _show(client.call("PATCH", path("users", address), json=fields), as_json)


@app.command("show", epilog="Example: understudy user show ann@example.test")
def show_user(address: Address, as_json: AsJson = False) -> None:
    """Show one user."""
    with Client() as client:
        _show(client.call("GET", path("users", address)), as_json)


@app.command("list", epilog="Example: understudy user list --json")
def list_users(as_json: AsJson = False) -> None:
    """List all users."""
    with Client() as client:
        users = list(client.all("/users"))
    if as_json:
        show.as_json(users)
    else:
        show.table(users, _COLUMNS)


@app.command(epilog="Example: understudy user remove ann@example.test --letters forward")
def remove(
    address: Address,
    letters: Annotated[str | None, typer.Option(help="what becomes of letters that wait: forward or bin")] = None,
    as_json: AsJson = False,
) -> None:
    """Take a user away, with his mailbox."""
    with Client() as client:
        answer = client.call("DELETE", path("users", address), params=_given(letters=letters))
    if as_json:
        show.as_json(answer)
    elif answer["removed"]:
        show.line(f"{answer['address']} is removed")
    else:
        show.line(
            f"{answer['address']} takes no mail any more, and goes when {answer['waiting']} letters are forwarded"
        )


@app.command(epilog="Example: understudy user password ann@example.test")
def password(address: Address, password: Password = None, as_json: AsJson = False) -> None:
    """Give a user another password."""
    fields = {"password": password or _asked_password()}
    with Client() as client:
        user = client.call("PATCH", path("users", address), json=fields)
    if as_json:
        show.as_json(user)
    else:
        show.line(f"{user['address']} has a new password")


@app.command(epilog="Example: understudy user bulk-add users.csv --dry-run")
def bulk_add(
    file: Annotated[Path, typer.Argument(help="CSV with a header line, or a JSON list (.json); - for standard input")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only check")] = False,
    atomic: Annotated[bool, typer.Option("--atomic", help="all or none")] = False,
    as_json: AsJson = False,
) -> None:
    """Make many users: address,password,mode,target_address,target_server. Ends with 1 where a row is refused."""
    content = _content(file)
    is_json = file.suffix == ".json" or content.lstrip()[:1] == b"["
    with Client() as client:
        response = client.ask(
            "POST",
            "/users/bulk",
            params={"dry_run": dry_run, "atomic": atomic},
            content=content,
            headers={"Content-Type": "application/json" if is_json else "text/csv"},
        )
    items = _bulk_items(response)
    if as_json:
        show.as_json(response.json())
    else:
        show.table(items, {"row": "Row", "address": "Address", "ok": "Good", "error": "Why not"})
    refused = sum(not item["ok"] for item in items)
    if refused:
        raise Refused(f"{refused} of {len(items)} rows are refused: correct them and send those again")


def _bulk_items(response: httpx.Response) -> list[dict[str, Any]]:
    """The rows' results, which come with a refusal, too."""
    answer = response.json() if "json" in response.headers.get("content-type", "") else {}
    items: list[dict[str, Any]] | None = answer.get("items")
    return items if items is not None else good(response).json()["items"]


def _content(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None


def _asked_password() -> str:
    if not sys.stdin.isatty():
        raise Refused("no password: say --password, or --no-password for a user who never logs in")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _show(user: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.as_json(user)
    else:
        show.fields(user)
