"""Events as log lines: a constant name, ids as fields; JSON for machines, readable text on a terminal."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# These tell every command, connection or heartbeat as a line; what matters of it we log ourselves.
_TALKATIVE = ("mail.log", "aiokafka", "kafka", "pymongo", "uvicorn", "asyncio", "httpx", "httpcore")


def configure(service: str, log_format: str, level: str) -> None:
    """Send this process's log lines to standard error, each with the service's name."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


def get(name: str) -> FilteringBoundLogger:
    """The logger of one module; `name` says whose lines they are."""
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger
