"""The command, as operators run it: its exit codes and its sentences."""

import asyncio
import sys

import pytest

from contracts.services import PROJECTOR
from tests.services.projector.press import Press


class TestCommand:
    async def test_agreement_ends_with_zero_and_tells_what_was_compared(self, filled: Press) -> None:
        code, out, err = await run(filled)
        assert (code, out.splitlines()[-1]) == (0, "No difference: they say what the log says.")
        assert "18 events" in out
        assert "3 workflows" in out
        assert "local/broken from position 17 on, 2 events" in out
        assert "100 %" in err

    async def test_a_difference_ends_with_one_and_is_told(self, filled: Press) -> None:
        await (await filled.database()).execute("UPDATE read_1.images SET width = 1")
        code, out, _ = await run(filled)
        assert (code, out.splitlines()[-1]) == (1, "  images local/tea edition 1: width is 1, the log says 64")

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"PRESSROOM_POSTGRES_URL": "postgresql://projector@127.0.0.1:1/pressroom"}, "Connect call failed"),
            ({"PRESSROOM_NATS_PASSWORD": "wrong"}, "password is not known"),
            ({"PRESSROOM_NATS_URL": "nats://127.0.0.1:1"}, "NATS does not answer at nats://127.0.0.1:1."),
        ],
    )
    async def test_a_server_that_is_away_ends_with_two_and_a_sentence(
        self, filled: Press, changes: dict[str, str], why: str
    ) -> None:
        code, out, err = await run(filled, **changes)
        assert (code, out) == (2, "")
        assert "It could not be checked. " in err
        assert why in err
        assert "Traceback" not in err

    async def test_swapped_tables_end_with_two(self, filled: Press) -> None:
        await (await filled.database()).execute("DROP SCHEMA read_1 CASCADE")
        code, _, err = await run(filled)
        assert (code, err.splitlines()[-1]) == (
            2,
            "It could not be checked. A rebuild swapped the tables while they were read; run it again.",
        )


async def run(press: Press, **changes: str) -> tuple[int, str, str]:
    """-> exit code, standard output, standard error"""
    environment = press.environment(PROJECTOR)
    del environment["PRESSROOM_NATS_USER"]  # the command knows whose rights it needs
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.projector.verify"),
        env=environment | changes,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()
