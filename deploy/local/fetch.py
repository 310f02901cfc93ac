"""Fetches Kafka's jars, once, and believes none that is not the one we pinned.

There is no Maven here: the jars are named in `kafka.jars` with their SHA-256, and jgo knows how to get one from Maven
Central. `python -m deploy.local.fetch` fetches what is missing; with `pin` it resolves them anew and rewrites
that file.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import CannotStart

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
# Kafka logs through SLF4J and leaves the choice of what is behind it to its packagers; without, it says nothing at all.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
PINNED = Path(__file__).with_name("kafka.jars")
PROJECT = Path(__file__).resolve().parents[2]
# More at a time only makes a slow line look broken.
CONNECTIONS = 6
TRIES = 3
REPLY_SECONDS = 30


@dataclass(frozen=True)
class Jar:
    """One Maven artifact and the only content that we take for it."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def cache_folder() -> Path:
    """Where fetched things are kept: UNDERSTUDY_CACHE, or `.cache` in the project."""
    return PROJECT / (os.environ.get("UNDERSTUDY_CACHE") or ".cache")


def kafka_jars() -> list[Path]:
    """Kafka's class path, complete and checked; fetches what is missing.

    Raises:
        CannotStart: a jar cannot be had, or is not the pinned one.
    """
    folder = cache_folder() / f"kafka-{KAFKA.rpartition(':')[2]}"
    jars = list(pinned())
    missing = [jar for jar in jars if not _is_right(folder / jar.name, jar)]
    if missing:
        _fetch_all(missing, folder)
    return [folder / jar.name for jar in jars]


def pinned() -> Iterator[Jar]:
    """The jars of `kafka.jars`, in class path order."""
    for line in PINNED.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version = coordinates.split(":")
            yield Jar(group, artifact, version, sha256)


def _is_right(path: Path, jar: Jar) -> bool:
    return path.exists() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_all(jars: list[Jar], folder: Path) -> None:
    """Fetch into a folder of our own and move each in when checked, so that runs beside us see whole jars or none."""
    print(f"Fetching Apache Kafka: {len(jars)} jars from Maven Central, once ...", flush=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch,
            ThreadPoolExecutor(CONNECTIONS) as pool,
        ):
            fetched = pool.map(lambda jar: _fetch(jar, folder, Path(scratch)), jars)
            megabytes = 0.0
            for number, size in enumerate(fetched, 1):
                megabytes += size / 1e6
                if number % 10 == 0 or number == len(jars):
                    print(f"  {number} of {len(jars)} jars, {megabytes:.0f} MB", flush=True)
    except OSError as error:
        raise CannotStart(
            f"{folder} cannot be written ({error.strerror}): make room, or set UNDERSTUDY_CACHE"
        ) from error


def _fetch(jar: Jar, folder: Path, scratch: Path) -> int:
    path = _download(jar, scratch)
    if _sha256(path) != jar.sha256:
        raise CannotStart(
            f"{jar.name} is not the file that {PINNED.name} pins: what serves Maven Central here alters it"
        )
    size = path.stat().st_size
    path.replace(folder / jar.name)
    return size


def _download(jar: Jar, scratch: Path) -> Path:
    from jgo.maven import MavenContext  # half a second to import, needed once

    context = MavenContext(repo_cache=scratch, timeout=REPLY_SECONDS)
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for left in reversed(range(TRIES)):
        try:
            return Path(artifact.resolve())
        except Exception as error:
            # jgo raises what requests raises, and RuntimeError; and it leaves half a file behind.
            shutil.rmtree((scratch / artifact.component.path_prefix), ignore_errors=True)
            if not left:
                raise CannotStart(
                    f"{jar.name} could not be fetched from Maven Central ({type(error).__name__}): check the network "
                    "and start again, or name a running Kafka with UNDERSTUDY_KAFKA_BOOTSTRAP"
                ) from error
    raise AssertionError("the loop returns or raises")


def pin() -> None:
    """Resolve KAFKA with all it depends on and write down what we got."""
    import jgo

    with tempfile.TemporaryDirectory() as scratch:
        lines = [f"# {KAFKA} and what it needs, with SHA-256; made by `python -m deploy.local.fetch pin`"]
        # The logging alone: together with Kafka, its list of recommended versions would overrule Kafka's own.
        found = [(jar.groupId, jar.artifactId, jar.version) for jar in jgo.resolve(KAFKA)]
        for group, artifact, version in [*found, tuple(LOGGING.split(":"))]:
            jar = Jar(group, artifact, version, "")
            lines.append(f"{jar.group}:{jar.artifact}:{jar.version} {_sha256(_download(jar, Path(scratch)))}")
    PINNED.write_text("\n".join(lines) + "\n")


def main() -> int:
    """The command line of this file."""
    try:
        pin() if sys.argv[1:] == ["pin"] else kafka_jars()
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
