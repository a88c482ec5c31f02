"""deploy/make-env: adds what is missing, and changes nothing."""

import re
import stat
from pathlib import Path

from tests.deploy.composed import ROOT, env_file, make_env


def test_every_variable_that_compose_insists_on_is_made(variables: dict[str, str]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert {*re.findall(r"\$\{(\w+):\?", text), "COMPOSE_PROFILES"} == set(variables)


def test_no_two_passwords_are_the_same(variables: dict[str, str]) -> None:
    passwords = [value for name, value in variables.items() if name != "COMPOSE_PROFILES"]
    assert len(set(passwords)) == len(passwords)
    assert all(re.fullmatch(r"[0-9a-f]{40}", one) for one in passwords)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    make_env(tmp_path / ".env")
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    make_env(path)
    before = path.read_bytes()
    assert "0 lines added" in make_env(path)
    assert path.read_bytes() == before


def test_what_was_there_stays_and_only_what_is_missing_is_added(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nOPENAI_API_KEY=a-key\nPRESSROOM_NATS_PASSWORD_WRITER=chosen")
    make_env(path)
    assert path.read_text().startswith("# mine\nOPENAI_API_KEY=a-key\nPRESSROOM_NATS_PASSWORD_WRITER=chosen\n")
    assert path.read_text().count("PRESSROOM_NATS_PASSWORD_WRITER") == 1
    assert "PRESSROOM_NATS_PASSWORD_GATEWAY" in env_file(path)


def test_samples_are_chosen_only_where_no_model_is_set(tmp_path: Path) -> None:
    for number, line in enumerate(("OPENAI_API_KEY=a-key", "OPENAI_BASE_URL=http://127.0.0.1:11434/v1")):
        path = tmp_path / str(number)
        path.write_text(f"{line}\n")
        make_env(path)
        assert "COMPOSE_PROFILES" not in env_file(path)
    words = make_env(tmp_path / "fresh")
    assert env_file(tmp_path / "fresh")["COMPOSE_PROFILES"] == "stand-in"
    assert "samples" in words
