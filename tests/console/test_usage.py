"""What each verb says of itself, and of being used wrongly."""

import pytest
from typer.testing import CliRunner

from services.console.main import app


def _verbs() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for group in app.registered_groups:
        assert group.typer_instance is not None
        commands = group.typer_instance.registered_commands
        found += [(str(group.name), _name(command.name, command.callback)) for command in commands]
    return found + [(_name(command.name, command.callback),) for command in app.registered_commands]


def _name(name: str | None, callback: object) -> str:
    return name or str(getattr(callback, "__name__", "")).replace("_", "-")


@pytest.mark.parametrize("verb", _verbs(), ids=" ".join)
def test_a_verb_has_help_with_an_example_and_json(verb: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*verb, "--help"])
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert "Example: " in text
    assert f"understudy {' '.join(verb)}" in text
    assert "--json" in text


def test_there_are_the_verbs_of_this_stage() -> None:
    groups = {verb[0] for verb in _verbs()}
    wanted = {"up", "ingest", "store", "forwarder", "pruner", "user", "letter", "destination", "events", "topics"}
    assert wanted | {"doctor", "standin", "settings"} == groups


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "nothing",
        "--wrong",
        "letter",
        "user add",
        "user set a@x.test",
        "user list x",
        "user fly",
        "letter list a@x.test --limit 0",
        "events --topic sent",
        "settings --service none",
    ],
)
def test_wrong_usage_ends_with_2(arguments: str) -> None:
    assert CliRunner().invoke(app, arguments.split()).exit_code == 2
