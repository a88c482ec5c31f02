"""The model: fails in each of its ways, hangs, and uses its quota up."""

from typing import Any

from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.proxy import until

USED_WITHIN_S, HANG_WITHIN_S = 15.0, 20.0

QUOTA = {"status": 429, "code": "insufficient_quota"}
QUOTA_TIMES = 3


async def fail(step: Step, ground: Ground) -> None:
    """The rules of the plan, each for one call."""
    await _rule(step, ground, step.choices["rules"], USED_WITHIN_S)


async def hang(step: Step, ground: Ground) -> None:
    """The attempt's deadline ends it."""
    when = {"kind": step.choices["kind"]}
    await _rule(step, ground, [{"do": {"hang": True}, "when": when, "times": 1}], HANG_WITHIN_S)


async def use_quota_up(step: Step, ground: Ground) -> None:
    """What fails by it is resumed by its clients as soon as the account is topped up."""
    when = {} if step.choices["kind"] == "any" else {"kind": step.choices["kind"]}
    await _rule(step, ground, [{"do": QUOTA, "when": when, "times": QUOTA_TIMES}], USED_WITHIN_S)
    ground.give_hope()


async def _rule(step: Step, ground: Ground, rules: list[dict[str, Any]], within_s: float) -> None:
    for rule in rules:
        await ground.standin.rule(do=rule["do"], when=rule["when"], times=rule["times"])

    async def used() -> bool:
        told = await ground.rules()
        if step.number not in ground.struck and any(rule["used"] for rule in told):
            ground.fired(step, words)
        return all(rule["used"] == rule["times"] for rule in told)

    words = "; ".join(f"{rule['when'].get('kind', 'any')}: {in_words(rule['do'])}" for rule in rules)
    try:
        await until(used, within_s, every_s=0.2)
    finally:
        left = [rule for rule in await ground.rules() if rule["used"] < rule["times"]]
        await ground.standin.clear()
    if step.number in ground.struck:
        ground.healed(step, f"{len(rules) - len(left)} of {len(rules)} rules met all their calls")
    else:
        ground.skipped(step, f"no such call came within {within_s:g} s: {words}")


def in_words(do: dict[str, Any]) -> str:
    """What a rule does."""
    return ", ".join(f"{name} {value}" if value is not True else name for name, value in do.items())


STRIKES = {"model": fail, "model-hangs": hang, "model-quota": use_quota_up}
