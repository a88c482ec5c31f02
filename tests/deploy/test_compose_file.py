"""docker-compose.yml, held to what the services, the topology and the rights declare."""

import importlib.util
import re
from collections.abc import Iterator

import pytest
import yaml

from chassis.settings import Settings
from chassis.topology import SET_UP, USERS
from contracts.services import GATEWAY, PROJECTOR, STAGES
from deploy.nats_config import CONFIG, container_config, variable
from local.services import WAYS, Way
from tests.deploy.composed import OURS, ROOT, SET_UPS, NotSet, Service, composed, dockerfile, interpolated, written

SERVERS = ("nats", "postgres", "seaweedfs")
WAY_OF = {"log": Way.LOG, "tables": Way.TABLES, "pictures": Way.PICTURES}
PLACES = ("PRESSROOM_NATS_", "PRESSROOM_POSTGRES_", "PRESSROOM_S3_", "PRESSROOM_H", "PRESSROOM_PORT")
"""What the file itself knows: addresses, users, and where a service answers."""

OF_LIBRARIES = {"PGPASSWORD"}
"""asyncpg takes it where the address has no password: so no address has one."""


@pytest.fixture
def services(variables: dict[str, str]) -> dict[str, Service]:
    return composed(variables)["services"]


def settings_known() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield str(field.validation_alias or f"PRESSROOM_{name.upper()}")


class TestTheServices:
    def test_there_are_the_five_and_their_set_up(self, services: dict[str, Service]) -> None:
        assert {GATEWAY, *STAGES, PROJECTOR} == set(OURS)
        assert {*OURS, *SET_UPS, *SERVERS, "stand-in", "set-up-volumes"} == set(services)

    @pytest.mark.parametrize("name", [*OURS, *SET_UPS, "stand-in"])
    def test_every_command_can_be_found(self, services: dict[str, Service], name: str) -> None:
        program, option, module, *_ = services[name]["command"]
        assert (program, option) == ("python", "-m")
        assert importlib.util.find_spec(module)

    @pytest.mark.parametrize("name", [*OURS, "set-up-log", "set-up-tables", "set-up-pictures"])
    def test_every_variable_is_a_setting(self, services: dict[str, Service], name: str) -> None:
        assert set(services[name]["environment"]) <= {*settings_known(), *OF_LIBRARIES}

    def test_every_setting_that_is_no_place_of_a_server_can_be_made(self, variables: dict[str, str]) -> None:
        ours = {name: f"set-{name}" for name in settings_known() if not name.startswith(PLACES)}
        services = composed(variables | ours)["services"]
        told = {value for service in services.values() for value in service.get("environment", {}).values()}
        brought = {one["source"] for name in OURS for one in services[name].get("volumes", [])}  # files, such as prices
        assert set(ours.values()) <= told | brought

    @pytest.mark.parametrize("name", OURS)
    def test_any_number_of_processes_can_run(self, services: dict[str, Service], name: str) -> None:
        assert "container_name" not in services[name]
        assert ("ports" in services[name]) == (name == GATEWAY)

    def test_a_process_is_given_longer_to_stop_than_it_takes(self, services: dict[str, Service]) -> None:
        drain_s = Settings.model_fields["drain_s"].default
        for name in OURS:
            assert int(services[name]["stop_grace_period"].removesuffix("s")) > 2 * drain_s


class TestWhoMayReachWhat:
    @pytest.mark.parametrize("name", OURS)
    def test_a_service_stands_in_the_networks_of_its_ways_alone(self, services: dict[str, Service], name: str) -> None:
        inside = {WAY_OF[network] for network in services[name]["networks"] if network != "outside"}
        assert inside == set(WAYS[name]) - {Way.MODEL, Way.SEARCH}
        assert ("outside" in services[name]["networks"]) == (name == GATEWAY or Way.MODEL in WAYS[name])

    @pytest.mark.parametrize("name", OURS)
    def test_a_service_is_told_of_its_own_ways_alone(self, services: dict[str, Service], name: str) -> None:
        told = {way for way in Way for setting in services[name]["environment"] if setting.startswith(way)}
        assert told == set(WAYS[name])

    def test_servers_have_no_way_out(self, variables: dict[str, str], services: dict[str, Service]) -> None:
        networks = composed(variables)["networks"]
        for name in SERVERS:
            assert all(networks[network]["internal"] for network in services[name]["networks"])

    def test_only_the_gateway_is_published_and_only_on_this_machine(self, services: dict[str, Service]) -> None:
        published = {name: service["ports"] for name, service in services.items() if "ports" in service}
        assert published == {"gateway": ["127.0.0.1:8000:8000"]}

    def test_every_password_goes_to_its_server_and_its_user_alone(
        self, variables: dict[str, str], services: dict[str, Service]
    ) -> None:
        for name, secret in variables.items():
            holders = {one for one, service in services.items() if secret in f"{service.get('environment')}"}
            who = name.rpartition("PASSWORD_")[2].rpartition("SECRET_KEY_")[2].lower().replace("_", "-")
            if "_NATS_" in name:
                assert holders == {"nats", "set-up-log" if who == SET_UP else who}
            elif name.endswith("POSTGRES_PASSWORD_ADMIN"):
                assert holders == {"postgres", "set-up-roles", "set-up-tables"}
            elif "_POSTGRES_" in name:
                assert holders == {"set-up-roles", who}
            elif "_S3_" in name:
                assert holders == {"seaweedfs", "set-up-pictures" if who == SET_UP else who}


class TestTheOrderOfTheStart:
    def test_servers_are_healthy_before_they_are_set_up(self, services: dict[str, Service]) -> None:
        for step, server in (("set-up-log", "nats"), ("set-up-roles", "postgres"), ("set-up-pictures", "seaweedfs")):
            assert services[step]["depends_on"][server] == {"condition": "service_healthy"}
            assert services[server]["healthcheck"]["test"][0] == "CMD"
        after_roles = services["set-up-tables"]["depends_on"]["set-up-roles"]
        assert after_roles == {"condition": "service_completed_successfully"}

    @pytest.mark.parametrize("name", OURS)
    def test_a_service_waits_for_the_set_up_of_all_its_ways(self, services: dict[str, Service], name: str) -> None:
        waits = services[name]["depends_on"]
        assert all(one == {"condition": "service_completed_successfully"} for one in waits.values())
        assert {WAY_OF[step.removeprefix("set-up-")] for step in waits} == set(WAYS[name]) - {Way.MODEL, Way.SEARCH}

    def test_set_up_runs_once_and_the_rest_is_kept_running(self, services: dict[str, Service]) -> None:
        for name, service in services.items():
            assert service["restart"] == ("no" if name.startswith("set-up") else "unless-stopped")

    def test_every_process_that_stays_tells_its_health(self, services: dict[str, Service]) -> None:
        stages = dockerfile()
        for name, service in services.items():
            told_by_image = "build" in service and stages[service["build"]["target"]].all("HEALTHCHECK")
            is_told = "test" in service.get("healthcheck", {}) or (told_by_image and "healthcheck" not in service)
            assert bool(is_told) == (not name.startswith("set-up"))


class TestBounds:
    def test_nothing_runs_as_root_but_the_step_that_gives_the_volumes_away(self, services: dict[str, Service]) -> None:
        for name, service in services.items():
            user = service.get("user") or dockerfile()[service["build"]["target"]].all("USER")[-1]
            assert (user.split(":")[0] in ("0", "root")) == (name == "set-up-volumes")

    def test_every_container_is_bounded(self, services: dict[str, Service]) -> None:
        for service in services.values():
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["mem_limit"] and service["pids_limit"]
            assert service["logging"]["options"]["max-size"]

    def test_every_foreign_image_is_pinned(self, services: dict[str, Service]) -> None:
        for service in services.values():
            if "build" not in service:
                assert re.search(r":\d+\.\d+", service["image"])

    def test_what_is_kept_lies_in_volumes(self, variables: dict[str, str], services: dict[str, Service]) -> None:
        answers = {f"answers-{stage}" for stage in STAGES}
        assert set(composed(variables)["volumes"]) == {"log", "tables", "pictures", *answers}
        for stage in STAGES:
            places = {one["source"]: one["target"] for one in services[stage]["volumes"]}
            assert places[f"answers-{stage}"] == services[stage]["environment"]["PRESSROOM_ANSWERS"]
        for name in SERVERS:
            assert any("/data" in f"{one}" or "/var/lib/postgresql" in f"{one}" for one in services[name]["volumes"])


class TestTheModel:
    def environment(self, variables: dict[str, str], **model: str) -> dict[str, str]:
        rest = {name: value for name, value in variables.items() if name != "COMPOSE_PROFILES"}
        return composed(rest | model)["services"]["writer"]["environment"]

    def test_a_key_leads_to_openai(self, variables: dict[str, str]) -> None:
        told = self.environment(variables, OPENAI_API_KEY="a-key")
        assert (told["OPENAI_API_KEY"], told["OPENAI_BASE_URL"]) == ("a-key", "")

    def test_an_address_of_ones_own_needs_no_key(self, variables: dict[str, str]) -> None:
        told = self.environment(variables, OPENAI_BASE_URL="http://model:1/v1")
        assert (told["OPENAI_API_KEY"], told["OPENAI_BASE_URL"]) == ("", "http://model:1/v1")

    def test_the_profile_leads_to_the_stand_in(self, variables: dict[str, str]) -> None:
        told = self.environment(variables, COMPOSE_PROFILES="stand-in")
        assert told["OPENAI_BASE_URL"] == "http://stand-in:8001/v1"
        assert written()["services"]["stand-in"]["profiles"] == ["stand-in"]


class TestWhatIsMissing:
    def test_compose_says_how_a_password_is_made(self, variables: dict[str, str]) -> None:
        del variables[variable(GATEWAY)]
        with pytest.raises(NotSet, match="run python3 deploy/make-env"):
            composed(variables)


class TestTheConfigurationOfNats:
    def test_the_committed_file_is_what_the_topology_declares(self) -> None:
        assert CONFIG.read_text() == container_config(), "write it anew: PYTHONPATH=. python -m deploy.nats_config"

    def test_every_user_has_a_password_from_the_environment(self, services: dict[str, Service]) -> None:
        assert {variable(user) for user in USERS} == set(services["nats"]["environment"])

    def test_a_password_of_digits_stays_a_text(self, variables: dict[str, str]) -> None:
        name = variable(GATEWAY)
        told = composed(variables | {name: "12345"})["services"]["nats"]["environment"]
        assert told[name] == '"12345"'


def test_interpolation_is_read_as_compose_reads_it() -> None:
    environment = {"A": "a", "EMPTY": ""}
    assert interpolated("${A}-${EMPTY:-${MISSING:-x}}${A:+y}${EMPTY:+z}", environment) == "a-xy"


def test_the_file_has_no_name_twice() -> None:
    lines = (ROOT / "docker-compose.yml").read_text().partition("\nservices:")[2].splitlines()
    names = [line for line in lines if re.match(r"^  [a-z-]+:$", line)]
    assert len(names) == len(set(names))
    assert yaml.safe_load((ROOT / "docker-compose.yml").read_text())["name"] == "pressroom"
