"""The settings: each is documented, each default is legal, and a wrong one names itself without showing a secret."""

import re
from pathlib import Path

import pytest
from pydantic import AliasChoices

from chassis.settings import Settings, load_settings

EXAMPLE = (Path(__file__).resolve().parents[2] / ".env.example").read_text()
DOCUMENTED = dict(re.findall(r"^# ?([A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
OF_RUN_ALONE = {"PRESSROOM_STANDIN_LATENCY_S"}
"""Read by `./run` and by no service."""


def variables() -> set[str]:
    """The name of every setting in the environment."""
    aliases = {name: field.validation_alias for name, field in Settings.model_fields.items()}
    assert not any(isinstance(alias, AliasChoices) for alias in aliases.values())
    return {str(alias) if alias else f"PRESSROOM_{name.upper()}" for name, alias in aliases.items()}


def test_every_setting_is_documented_and_no_other() -> None:
    assert set(DOCUMENTED) == variables() | OF_RUN_ALONE


def test_documented_value_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = load_settings()
    for name, value in DOCUMENTED.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == usual


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PRESSROOM_PORT", "65536"),
        ("PRESSROOM_PORT", "http"),
        ("PRESSROOM_LOG_REPLICAS", "2"),
        ("PRESSROOM_LOG_REPLICAS", "many"),
        ("PRESSROOM_LOG_BYTES_MAX", "1000"),
        ("PRESSROOM_ACK_WAIT_S", "1"),
        ("PRESSROOM_CONCURRENCY", "0"),
        ("PRESSROOM_DEADLINE_S", "-1"),
        ("PRESSROOM_RESEARCH", "google"),
        ("PRESSROOM_IMAGE_SIZE", "large"),
        ("PRESSROOM_LOG_LEVEL", "loud"),
        ("PRESSROOM_PRICES", "no/such/prices.toml"),
    ],
)
def test_wrong_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    for secret in ("OPENAI_API_KEY", "TAVILY_API_KEY", "PRESSROOM_NATS_PASSWORD", "PRESSROOM_S3_SECRET_KEY"):
        monkeypatch.setenv(secret, "sk-canary")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match="2"):
        load_settings()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"The setting {variable} is wrong: ") and "canary" not in line


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PRESSROOM_PORT", "http")
    monkeypatch.setenv("PRESSROOM_DRAIN_S", "soon")
    with pytest.raises(SystemExit):
        load_settings()
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(("value", "replicas"), [("1", 1), ("3", 3), ("5", 5)])
def test_replicas_are_set_from_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, replicas: int) -> None:
    monkeypatch.setenv("PRESSROOM_LOG_REPLICAS", value)
    assert load_settings().log_replicas == replicas


def test_secrets_never_show_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for secret in ("OPENAI_API_KEY", "TAVILY_API_KEY", "PRESSROOM_NATS_PASSWORD", "PRESSROOM_S3_SECRET_KEY"):
        monkeypatch.setenv(secret, "sk-canary")
    settings = load_settings()
    assert settings.openai_api_key.get_secret_value() == "sk-canary"
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESSROOM_PORT", "")
    assert load_settings().port == 8000


@pytest.mark.parametrize(
    ("research", "key", "researcher"),
    [
        ("auto", "", "openai"),
        ("auto", "tvly", "tavily"),
        ("openai", "tvly", "openai"),
        ("tavily", "", "tavily"),
        ("none", "tvly", "none"),
    ],
)
def test_researcher_follows_setting_and_key(
    monkeypatch: pytest.MonkeyPatch, research: str, key: str, researcher: str
) -> None:
    monkeypatch.setenv("PRESSROOM_RESEARCH", research)
    monkeypatch.setenv("TAVILY_API_KEY", key)
    assert load_settings().researcher == researcher


def test_mistake_in_a_price_file_is_told_at_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("as_of = 2026-11-25\n[providers.openai]\nsearch = -1\n")
    monkeypatch.setenv("PRESSROOM_PRICES", str(file))
    with pytest.raises(SystemExit, match="2"):
        load_settings()
    assert capsys.readouterr().err == (
        f"The setting PRESSROOM_PRICES is wrong: {file}: providers.openai.search: "
        "Input should be greater than or equal to 0.\n"
    )
