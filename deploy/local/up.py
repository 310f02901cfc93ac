"""`understudy up`: the whole product on one machine, in the foreground, until it is told to stop."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable

import httpx

from deploy.local import data_folder
from deploy.local.errors import CannotStart
from deploy.local.keys import make_keys, password_to_show
from deploy.local.mongod import wait_for_primary
from deploy.local.ports import LOOPBACK
from deploy.local.production import Production, plan
from deploy.local.sample import ADDRESS, PASSWORD, SENDER, Sample
from deploy.local.server import last_line
from deploy.local.supervise import Supervisor
from shared.settings import SettingsError

# A cold first start on a small and busy machine; a sound one takes seconds.
START_SECONDS = 90.0
# A program that has died this often while we wait for it will not come.
DEATHS = 3
LOOK_SECONDS = 0.05


def up() -> int:
    """Run everything until Ctrl-C, SIGTERM or a closed terminal; the exit code."""
    try:
        with data_folder.held(data := data_folder.folder_from_environment()):
            data_folder.forget_settings(data)
            production = plan(data)
            make_keys(data)
            production.check()
            asyncio.run(_run(production))
    except (CannotStart, SettingsError) as error:
        print(f"understudy cannot start: {error}", file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(f"understudy cannot start: {error}: is the disk full, or not ours?", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


async def _run(production: Production) -> None:
    """Start, wait for the word to stop, and stop; also if the word comes while starting."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    supervisor = Supervisor(production.data, announce=_say)
    starting = asyncio.create_task(_start(production, supervisor))
    stopping = asyncio.create_task(told.wait())
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
        _say("Stopping ...")
    finally:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await starting
        await supervisor.stop()
        data_folder.forget_run(production.data)
    _say("Stopped.")


async def _start(production: Production, supervisor: Supervisor) -> None:
    _say(f"Understudy, with its data in {production.data}")
    await _start_servers(production, supervisor)
    await production.create_topics()
    began = time.monotonic()
    for program in production.services():
        await supervisor.start(program)
    await asyncio.gather(
        *(_until_ready(supervisor, name, check) for name, check in production.readiness_of_services().items())
    )
    _say(f"The services are up ({time.monotonic() - began:.1f} s)")
    data_folder.write_ports(production.data, production.ports)
    data_folder.write_settings(production.data, production.joining_settings())
    has_sample = production.settings.sample and await _show_sample(production)
    _tell_where(production, has_sample)
    _say("understudy is ready")


async def _start_servers(production: Production, supervisor: Supervisor) -> None:
    began = time.monotonic()
    servers = production.servers()
    for server in servers:
        await asyncio.to_thread(server.prepare)
        await supervisor.start(production.program_of(server))

    async def wait(name: str, is_serving: Callable[[], bool]) -> None:
        await _until_ready(supervisor, name, lambda: asyncio.to_thread(is_serving))
        _say(f"{name} is up ({time.monotonic() - began:.1f} s)")

    await asyncio.gather(*(wait(server.name, server.is_serving) for server in servers))
    if production.mongod is None and not await asyncio.to_thread(wait_for_primary, production.mongodb_url, 15):
        raise CannotStart("the MongoDB that UNDERSTUDY_MONGODB_URL names has no primary that answers")


async def _until_ready(supervisor: Supervisor, name: str, is_ready: Callable[[], Awaitable[bool]]) -> None:
    until = time.monotonic() + START_SECONDS
    while not await is_ready():
        if supervisor.deaths[name] >= DEATHS or time.monotonic() > until:
            log = supervisor.log(name)
            raise CannotStart(f"{name} does not start: {last_line(log)} (all of it: {log})")
        await asyncio.sleep(LOOK_SECONDS)


async def _show_sample(production: Production) -> bool:
    token = (production.data / "admin-token").read_text().strip()
    sample = Sample(production.data, production.api, token, production.ports["smtp"], production.ports["standin"])
    try:
        if not await sample.make_user():
            return False
        if production.is_standin_willing():
            journey = await sample.send()
            if journey.forwarded is None or journey.gone is None:
                _say("The sample letter was accepted and waits: `understudy letter list` tells what for")
            else:
                _say(
                    f"A sample letter was accepted after {journey.accepted:.3f} s, was at the main server after "
                    f"{journey.forwarded:.3f} s and had left the mailbox after {journey.gone:.3f} s"
                )
        return True
    except httpx.HTTPError as error:
        raise CannotStart(f"the API at {production.api} failed the sample: {error!r}") from error
    finally:
        await sample.close()


def _tell_where(production: Production, has_sample: bool) -> None:
    data, ports = production.data, production.ports
    lines = [
        ("SMTP", f"{LOOPBACK}:{ports['smtp']}"),
        ("IMAP", f"{LOOPBACK}:{ports['imap']} (STARTTLS), {LOOPBACK}:{ports['imaps']} (TLS)"),
        ("POP3", f"{LOOPBACK}:{ports['pop3']} (STLS), {LOOPBACK}:{ports['pop3s']} (TLS)"),
        ("Page and API", f"{production.api}  (API described at {production.api}/api/docs)"),
        ("Administrator", f"admin, password {password_to_show(data)}; API token in {data / 'admin-token'}"),
        ("Kafka", production.kafka_bootstrap),
        ("MongoDB", f"{LOOPBACK}:{ports['mongo']}" if production.mongod else "as UNDERSTUDY_MONGODB_URL says"),
        ("Logs", str(data / "logs")),
    ]
    if has_sample:
        lines += [
            ("Sample user", f"{ADDRESS}, password {PASSWORD}"),
            ("Main server", f"a stand-in on {LOOPBACK}:{ports['standin']}, letters in {data / 'standin' / 'letters'}"),
            ("Try", f"swaks --server {LOOPBACK}:{ports['smtp']} --from {SENDER} --to {ADDRESS}"),
        ]
    _say("\n".join(["", *(f"  {name:<14} {text}" for name, text in lines), ""]))


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)
