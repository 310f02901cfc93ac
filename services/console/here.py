"""Which system a verb speaks to: what the environment names, or else the data folder of a `make run`."""

import json
import os
from pathlib import Path
from typing import TypeVar

from services.console.refused import Refused
from shared.settings import PREFIX, Common, Console, SettingsError, load

S = TypeVar("S", bound=Common)

_DATA = PREFIX + "DATA"
_API = PREFIX + "API"
_USUAL = Path(".data")


def settings(schema: type[S]) -> S:
    """The settings of a verb. Raises Refused."""
    _find_data_folder()
    try:
        return load(schema)
    except SettingsError as error:
        raise Refused(str(error).replace("\n", "; ")) from None


def api() -> tuple[str, str]:
    """Where the HTTP API is, and the administrator's token. Raises Refused."""
    own = settings(Console)
    if own.token is not None:
        return own.api, own.token.get_secret_value()
    if own.data is None:
        raise Refused(f"no token: set {PREFIX}API and {PREFIX}TOKEN, or {_DATA} to the data folder of `make run`")
    base_url = _local_api(own.data) or own.api
    if os.environ.get(_API, base_url) != base_url:
        # A token is not to be shown to a system that it is not of.
        raise Refused(f"no token for {own.api}: set {PREFIX}TOKEN")
    try:
        return base_url, (own.data / "admin-token").read_text().strip()
    except OSError as error:
        raise Refused(f"no token: {error}; set {PREFIX}TOKEN, or {_DATA} to the data folder of `make run`") from None


def _find_data_folder() -> None:
    if not os.environ.get(_DATA) and (_USUAL / "admin-token").exists():
        os.environ[_DATA] = str(_USUAL)


def _local_api(data: Path) -> str | None:
    try:
        return f"http://127.0.0.1:{json.loads((data / 'ports.json').read_text())['http']}"
    except (OSError, ValueError, KeyError):
        return None
