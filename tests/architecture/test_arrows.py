"""The arrows: services -> chassis -> contracts, never back, never sideways between services."""

import importlib
import sys

import pytest

from chassis.stage import Stage
from contracts.services import STAGES
from tests.architecture.source import ROOMS, ROOT, imports, place, python_files

OURS = {*ROOMS}
MAY_IMPORT = {
    "contracts": {"contracts"},
    "chassis": {"contracts", "chassis"},
    "services": {"contracts", "chassis", "services"},
    "local": {"contracts", "chassis", "local"},
    "deploy": {"contracts", "chassis", "deploy"},
    "cli": {"contracts", "local", "cli"},
    "worked": {"worked"},
    # Of the services, only how a message is hashed and how tables are compared.
    "chaos": {"contracts", "chassis", "local", "services", "worked", "chaos"},
}
PURE = set(sys.stdlib_module_names) - {
    "asyncio",
    "socket",
    "subprocess",
    "random",
    "time",
    "threading",
    "pathlib",
    "os",
}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows_run_from_services_to_contracts(room: str) -> None:
    wrong = [
        f"{place(path)} imports {name}"
        for path in python_files(room)
        for name in imports(path)
        if name.partition(".")[0] in OURS - MAY_IMPORT[room]
    ]
    assert not wrong, f"{room} may import {sorted(MAY_IMPORT[room])} only; move what is shared inwards: {wrong}"


def test_services_never_import_each_other() -> None:
    wrong = [
        f"{place(path)} imports {name}"
        for path in python_files("services")
        for name in imports(path)
        if name.startswith("services.") and name.split(".")[1] != path.relative_to(ROOT).parts[1]
    ]
    assert not wrong, f"services meet in the log; what two of them need belongs to the chassis: {wrong}"


def test_contracts_are_pure_and_need_pydantic_alone() -> None:
    wrong = [
        f"{place(path)} imports {name}"
        for path in python_files("contracts")
        for name in imports(path)
        if name.partition(".")[0]
        not in PURE | {"contracts", "pydantic", "pydantic_core"}  # the latter is a part of the former
    ]
    assert not wrong, f"the language does no I/O and reads no clock; pass in what it needs: {wrong}"


@pytest.mark.parametrize("service", STAGES)
def test_every_stage_does_the_works_it_is_woken_for(service: str) -> None:
    module = importlib.import_module(f"services.{service}.stage")
    stage: Stage[object] = module.stage
    assert (stage.name, stage.kinds) == (service, STAGES[service]), "contracts/services.py and the stage disagree"
