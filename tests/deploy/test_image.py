"""The image: what it holds, and what stays out."""

import re
import tomllib
from pathlib import Path

from contracts.services import GATEWAY, PROJECTOR, STAGES
from tests.architecture.source import committed_files
from tests.deploy.composed import ROOT, dockerfile, fill

REQUIREMENTS = ROOT / "requirements"


def packages(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+==[^ ]+)", (REQUIREMENTS / f"{lock}.lock").read_text(), re.MULTILINE))


def let_through(source: str) -> bool:
    """By .dockerignore, which lets nothing through but what it names."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return any(Path(source).match(line[1:]) for line in lines if line.startswith("!"))


def test_the_services_lock_is_a_part_of_what_run_installs() -> None:
    assert packages("services") < packages("run")


def test_no_server_of_the_local_machine_is_in_the_image() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["local"]
    assert not packages("services") & set(extras["local"])


def test_everything_that_is_copied_reaches_the_builder() -> None:
    sources = [source for stage in dockerfile().values() for sources, _ in stage.copied() for source in sources]
    assert all((ROOT / source).exists() for source in sources)
    assert all(let_through(source) for source in sources)
    assert not let_through(".env")


def test_the_image_holds_every_file_of_the_services(tmp_path: Path) -> None:
    fill(tmp_path, dockerfile()["services"])
    rooms = ("contracts", "chassis", "services")
    ours = [path.relative_to(ROOT) for path in committed_files() if path.relative_to(ROOT).parts[0] in rooms]
    assert {"services/writer/prompts/blog.md", "services/projector/setup.sql"} < {str(path) for path in ours}
    assert all((tmp_path / path).is_file() for path in ours)
    assert not (tmp_path / "local").exists()
    for service in (GATEWAY, *STAGES, PROJECTOR):
        assert (tmp_path / "services" / service / "__main__.py").is_file()


def test_the_last_stage_is_the_one_of_the_services() -> None:
    assert list(dockerfile())[-1] == "services"


def test_packages_are_installed_by_their_hashes() -> None:
    (install,) = [line for line in dockerfile()["packages"].all("RUN") if "install" in line]
    assert "--require-hashes" in install
    assert "services.lock" in install
