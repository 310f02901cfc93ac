"""Events as log lines: a constant name, ids as fields; JSON for machines, readable text on a terminal."""

import json
import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from shared.moments import rfc3339_now

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# These tell every command, connection or heartbeat as a line; what matters of it we log ourselves.
_TALKATIVE = ("mail.log", "aiokafka", "kafka", "pymongo", "uvicorn", "asyncio", "httpx", "httpcore")


def configure(service: str, log_format: str, level: str) -> None:
    """Send this process's log lines to standard error, each with the service's name."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    finish: list[Processor] = [structlog.dev.ConsoleRenderer()] if as_text else [_as_json]
    factory: Any = structlog.WriteLoggerFactory if as_text else structlog.BytesLoggerFactory
    structlog.configure(
        processors=[_stamped(service), *finish],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=factory(file=sys.stderr if as_text else sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


def _stamped(service: str) -> Processor:
    """When, how bad and who, put in front; in one step and by hand: there is a line for each letter and stage."""

    def stamp(logger: Any, level: str, line: EventDict) -> EventDict:
        stamped: EventDict = {"at": rfc3339_now(), "level": level, "service": service, **line}
        return structlog.processors.format_exc_info(logger, level, stamped) if "exc_info" in line else stamped

    return stamp


def _as_json(_: Any, __: str, line: EventDict) -> bytes:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # What a stranger sent may hold surrogates, which orjson refuses; a log line must never fail.
        return json.dumps(line, default=str).encode()


def get(name: str) -> FilteringBoundLogger:
    """The logger of one module; `name` says whose lines they are."""
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger
