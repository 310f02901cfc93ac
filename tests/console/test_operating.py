"""The verbs of those who operate the system: topics, events, doctor, settings, services, and where they find it."""

import asyncio
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

from shared.bus import topics
from shared.settings import PREFIX, Common, known_names
from tests.console.conftest import Command
from tests.kit.scope import Scope
from tests.store.web.conftest import TOKEN, Door


async def test_topics_are_made_and_checked(kafka_bootstrap: str, mongodb_url: str, tmp_path: Path) -> None:
    scope = Scope.new(kafka_bootstrap, mongodb_url)
    understudy = Command(scope.environment(), tmp_path)
    assert "`understudy topics create` makes them" in await understudy.refused("topics", "check")
    made = (await understudy.good("topics", "create", "--json")).json["created"]
    assert len(made) == 8
    assert "all topics are there" in (await understudy.good("topics", "create")).text
    assert (await understudy.good("topics", "check", "--json")).json["ok"] is True
    assert "16 expected" in await understudy.refused("topics", "check", UNDERSTUDY_PARTITIONS="16")
    await topics.delete(scope.settings(Common))


async def test_without_a_broker_the_reason_is_one_line(understudy: Command) -> None:
    for verb in (("topics", "create"), ("topics", "check"), ("events",)):
        assert "is Kafka running" in await understudy.refused(*verb, UNDERSTUDY_KAFKA_BOOTSTRAP="127.0.0.1:1")


async def test_events_tell_what_is_kept_and_what_comes(understudy: Command, door: Door) -> None:
    address = "events@example.test"
    await door.add_user(address)
    letters = [await door.add_letter(address) for _ in range(3)]
    for letter in letters[:2]:
        await door.admin.post(f"/letters/{letter}/forward-now")
        await door.admin.delete(f"/letters/{letter}")
    # The last one is told when all before it are.
    await asyncio.sleep(1)

    kept = ("events", "--from-beginning", "--json")
    told = [json.loads(line) for line in (await understudy.good(*kept, "--address", address)).text.splitlines()]
    assert sorted((event["topic"], event["letter_id"]) for event in told) == sorted(
        (topic, letter) for topic in ("stored", "deleted") for letter in letters[:2]
    )
    assert {"version", "event_id", "at", "partition", "offset"} <= set(told[0])
    one = (await understudy.good(*kept, "--letter", letters[0], "--topic", "deleted")).text.splitlines()
    assert [json.loads(line)["letter_id"] for line in one] == [letters[0]]
    words = (await understudy.good("events", "--from-beginning", "--letter", letters[1])).text
    assert "deleted" in words
    assert "reason=admin" in words

    following = await understudy.start("events", "--address", address, "--topic", "deleted", "--json")
    assert following.stdout is not None
    await asyncio.sleep(3)
    await door.admin.delete(f"/letters/{letters[2]}")
    line = await asyncio.wait_for(following.stdout.readline(), 10)
    assert json.loads(line)["letter_id"] == letters[2]
    following.terminate()
    await following.wait()


async def test_the_doctor_finds_a_sound_system_sound(understudy: Command) -> None:
    findings = (await understudy.good("doctor", "--json")).json
    assert all(finding["ok"] for finding in findings), findings
    names = [
        "settings",
        "kafka",
        "topics",
        "offsets.retention.minutes",
        "mongodb",
        "durability",
        "indexes",
        "api",
        "disk",
    ]
    assert [finding["name"] for finding in findings] == names
    lines = (await understudy.good("doctor")).text.splitlines()
    assert len(lines) == len(names)
    assert all(line.startswith("ok ") for line in lines)


async def test_the_doctor_says_what_is_wrong_and_what_to_do(understudy: Command, door: Door) -> None:
    broken = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "UNDERSTUDY_MONGODB_URL": "mongodb://127.0.0.1:1/?replicaSet=rs0&directConnection=true",
        "UNDERSTUDY_TOKEN": "wrong",
    }
    done = await replace(understudy, environment={**understudy.environment, **broken})("doctor")
    assert done.code == 1
    assert "3 of 5 things" in done.err
    bad = {line.split()[1]: line for line in done.text.splitlines() if line.startswith("BAD")}
    assert set(bad) == {"kafka:", "mongodb:", "api:"}
    assert "UNDERSTUDY_TOKEN" in bad["api:"]

    await door.database["letters"].drop_indexes()
    done = await understudy("doctor", UNDERSTUDY_TOPIC_RETENTION_DAYS="100")
    bad = {line.split()[1]: line for line in done.text.splitlines() if line.startswith("BAD")}
    assert set(bad) == {"topics:", "offsets.retention.minutes:", "indexes:"}


async def test_an_unknown_setting_is_refused_by_every_verb(understudy: Command) -> None:
    assert "unknown setting UNDERSTUDY_TYPO" in await understudy.refused("user", "list", UNDERSTUDY_TYPO="1")
    assert "unknown setting" in (await understudy("doctor", UNDERSTUDY_TYPO="1")).text


async def test_settings_are_listed_with_their_present_values_and_secrets_hidden(understudy: Command) -> None:
    rows = (
        await understudy.good("settings", "--json", UNDERSTUDY_RETRY_SECONDS="7", UNDERSTUDY_SECRET_KEY="s3cret")
    ).json
    found = {row["name"]: row for row in rows}
    assert set(found) == known_names()
    assert (found["UNDERSTUDY_RETRY_SECONDS"]["value"], found["UNDERSTUDY_RETRY_SECONDS"]["services"]) == (
        7.0,
        ["forwarder"],
    )
    assert found["UNDERSTUDY_RETRY_SECONDS"]["meaning"]
    assert "s3cret" not in json.dumps(rows)
    assert TOKEN not in json.dumps(rows)
    table = (await understudy.good("settings", "--service", "pruner")).text
    assert "UNDERSTUDY_BIN_FORWARDED_HOURS" in table
    assert "UNDERSTUDY_SMTP_PORT" not in table


async def test_verbs_find_a_running_make_run_by_its_data_folder(data_folder: Path, tmp_path: Path) -> None:
    named = Command({f"{PREFIX}DATA": str(data_folder)}, tmp_path)
    assert isinstance((await named.good("user", "list", "--json")).json, list)
    assert "all topics are there" in (await named.good("topics", "create")).text
    # Without a word, it is `.data` where we are.
    shutil.move(data_folder, tmp_path / ".data")
    usual = Command({}, tmp_path)
    assert isinstance((await usual.good("user", "list", "--json")).json, list)


async def test_a_data_folders_token_is_shown_to_its_own_system_only(data_folder: Path, tmp_path: Path) -> None:
    elsewhere = Command({f"{PREFIX}DATA": str(data_folder), f"{PREFIX}API": "http://127.0.0.1:1"}, tmp_path)
    assert "no token for http://127.0.0.1:1" in await elsewhere.refused("user", "list")


async def test_without_a_system_verbs_say_how_to_name_one(tmp_path: Path) -> None:
    assert "UNDERSTUDY_DATA" in await Command({}, tmp_path).refused("user", "list")
    nobody = Command({f"{PREFIX}API": "http://127.0.0.1:1", f"{PREFIX}TOKEN": "x"}, tmp_path)
    assert "is the store running" in await nobody.refused("user", "list")
    (tmp_path / "empty").mkdir()
    assert "no token" in await Command({f"{PREFIX}DATA": "empty"}, tmp_path).refused("user", "list")


async def test_a_token_that_is_not_known_is_told_so(understudy: Command) -> None:
    assert "does not know this token" in await understudy.refused("user", "list", UNDERSTUDY_TOKEN="wrong")


async def test_a_service_runs_in_the_commands_place(understudy: Command) -> None:
    process = await understudy.start(
        "pruner", "--json", UNDERSTUDY_PRUNER_OPS_PORT="0", UNDERSTUDY_LOG_FORMAT="text", UNDERSTUDY_NICE="0"
    )
    assert process.stderr is not None
    line = json.loads(await asyncio.wait_for(process.stderr.readline(), 20))
    assert (line["event"], line["pid"], line["service"]) == ("service_started", process.pid, "pruner")
    process.terminate()
    await asyncio.wait_for(process.communicate(), 20)
    # The second, where the word came before it could be heard.
    assert process.returncode in (0, -signal.SIGTERM)


async def test_a_service_whose_settings_cannot_serve_says_so(understudy: Command) -> None:
    assert "UNDERSTUDY_PARTITIONS" in await understudy.refused("store", UNDERSTUDY_PARTITIONS="0")
