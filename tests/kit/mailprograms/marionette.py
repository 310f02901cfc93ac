"""The wire on which Thunderbird is told what to do: Marionette, JSON with its length in front."""

import json
import socket
import time
from typing import Any

from tests.kit.mailprograms.account import LOOPBACK, PATIENCE_SECONDS

_COMMAND, _RESPONSE = 0, 1


class Marionette:
    """A connection; scripts run where the program's own do."""

    def __init__(self, port: int) -> None:
        self._socket = _connect(port)
        self._commands = 0
        self._buffer = b""
        self._read()
        self.command("WebDriver:NewSession", {"strictFileInteractability": True})
        self.command("Marionette:SetContext", {"value": "chrome"})
        self.command("WebDriver:SetTimeouts", {"script": int(PATIENCE_SECONDS * 1000)})

    def close(self) -> None:
        """Hang up; the program goes on."""
        self._socket.close()

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an async function, which may have `arguments`; what it returns."""
        whole = "const [args, done] = [[...arguments].slice(0, -1), arguments[arguments.length - 1]];\n"
        whole += f"(async () => {{ {script} }})().then(v => done({{v}}), e => done({{e: String(e) + e.stack}}));"
        sent = {"script": whole, "args": list(arguments), "newSandbox": False, "sandbox": "tests"}
        answer = self.command("WebDriver:ExecuteAsyncScript", sent)["value"]
        assert "e" not in answer, f"Thunderbird: {answer['e']}\nin {script}"
        return answer.get("v")

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        """A command of the protocol; its result. Fails with what Thunderbird calls the error."""
        self._commands += 1
        data = json.dumps([_COMMAND, self._commands, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(data), data))
        kind, number, error, result = self._read()
        assert (kind, number) == (_RESPONSE, self._commands)
        assert error is None, f"Thunderbird: {error}"
        return result

    def _read(self) -> Any:
        while b":" not in self._buffer:
            self._receive()
        length, _, rest = self._buffer.partition(b":")
        self._buffer = rest
        while len(self._buffer) < int(length):
            self._receive()
        data, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
        return json.loads(data)

    def _receive(self) -> None:
        more = self._socket.recv(1 << 20)
        assert more, "Thunderbird has hung up"
        self._buffer += more


def _connect(port: int) -> socket.socket:
    """Once it listens, which takes it a few seconds."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection = socket.create_connection((LOOPBACK, port), timeout=1)
        except OSError:
            assert time.monotonic() < ends, "Thunderbird does not listen"
            time.sleep(0.1)
        else:
            connection.settimeout(PATIENCE_SECONDS * 2)
            return connection
