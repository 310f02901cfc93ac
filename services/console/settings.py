"""`understudy settings`: every setting, what it means, its default and its present value."""

from typing import Annotated, Any

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services.console import here, show
from services.console.show import AsJson
from shared.settings import PREFIX, SCHEMAS, shown

_COLUMNS = {"name": "Setting", "services": "Of", "meaning": "Meaning", "default": "Default", "value": "Present value"}


def settings(
    service: Annotated[
        str | None, typer.Option(help="only those of ingest, store, forwarder, pruner, console or local")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the settings; each is an environment variable. Secrets are hidden."""
    if service is not None and service not in SCHEMAS:
        raise typer.BadParameter(f"there are {', '.join(SCHEMAS)}", param_hint="--service")
    wanted = [service] if service else list(SCHEMAS)
    rows = [row for name in wanted for row in _rows(name)]
    if service is None:
        rows = _together(rows)
    if as_json:
        show.as_json(rows)
    else:
        show.table(rows, _COLUMNS)


def _rows(service: str) -> list[dict[str, Any]]:
    schema = SCHEMAS[service]
    present = shown(here.settings(schema))
    return [
        {
            "name": PREFIX + name.upper(),
            "services": [service],
            "meaning": field.description,
            "default": _default(field),
            "value": present[name],
        }
        for name, field in schema.model_fields.items()
    ]


def _together(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A setting that several services have, once. It is shown apart where they differ in its meaning or default."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        same = found.setdefault((row["name"], row["meaning"], str(row["default"])), row)
        if same is not row:
            same["services"] = [*same["services"], *row["services"]]
    for row in found.values():
        if len(row["services"]) == len(SCHEMAS):
            row["services"] = ["all"]
    return sorted(found.values(), key=lambda row: (row["services"] != ["all"], row["name"]))


def _default(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, SecretStr):
        # The URL of a database on this machine is no secret, but what stands there elsewhere may be.
        return "**********"
    return default if isinstance(default, str | int | float | bool | None) else str(default)
