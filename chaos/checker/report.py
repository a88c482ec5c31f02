"""The report: a line for each invariant, what breaks those that are broken, and what the run cost."""

from collections.abc import Sequence

from chaos.checker.finding import Finding
from chaos.checker.invariants.paid_calls import paid_twice
from chaos.checker.record import Record


def words(record: Record, findings: Sequence[Finding]) -> list[str]:
    """The report, line by line."""
    broken = [str(one.number) for one in findings if one.violations]
    fired = sum(one.phase == "fired" for one in record.happened)
    verdict = f"Broken: {', '.join(broken)}." if broken else "All invariants hold."
    seen = f"{len(record.stories)} workflows, {len(record.log)} events"
    return [
        *(line for one in findings for line in one.words()),
        paid_twice(record),
        f"{verdict} (seed {record.plan.seed}, {fired} faults, {seen})",
    ]
