"""Log lines: one JSON object each, whatever is in them."""

import json
import subprocess
import sys

SCRIPT = """
from shared import logs
logs.configure("ingest", "json", "info")
log = logs.get("part")
log.info("plain", receipt_id="01", size=3)
log.info("odd", text="surrogate \\udce9", raw=b"bytes", path={1: "x"})
log.debug("hidden")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def test_every_line_is_json_with_time_level_and_service() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["plain", "odd", "failed"]
    assert all(line["service"] == "ingest" and line["at"].endswith("Z") for line in lines)
    assert lines[0]["receipt_id"] == "01"
    assert "ZeroDivisionError" in lines[2]["exception"]
