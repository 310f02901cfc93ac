"""What verbs print: tables and lines for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]

# Not a terminal: a program or a file reads it, and nothing should be cut.
_WIDE = 400


def as_json(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def line(text: str) -> None:
    print(text)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """`rows` with the fields that `columns` names (field -> heading)."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*[Text(_plain(row.get(name))) for name in columns])
    _console().print(shown)


def fields(thing: Mapping[str, Any]) -> None:
    """One thing, a line for each field."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, value in thing.items():
        shown.add_row(Text(name), Text(_plain(value)))
    _console().print(shown)


def flat(thing: Mapping[str, Any]) -> dict[str, Any]:
    """`thing` with what lies one level deeper as `outer.inner`."""
    found: dict[str, Any] = {}
    for name, value in thing.items():
        inner = value.items() if isinstance(value, Mapping) else ()
        found |= {f"{name}.{key}": one for key, one in inner} if inner else {name: value}
    return found


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def _plain(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case {"code": code, "text": text}:
            return f"{code} {text}" if code else str(text)
        case list():
            return ", ".join(_plain(one) for one in value) or "-"
    return str(value)
