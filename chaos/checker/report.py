"""The report: a line for each invariant, what breaks those that are broken, and what the run cost."""

from collections.abc import Sequence

from chaos.checker.finding import Finding
from chaos.checker.invariants.paid_calls import duplicates
from chaos.checker.record import Record


def words(record: Record, findings: Sequence[Finding]) -> list[str]:
    """The report, line by line."""
    broken = [str(one.number) for one in findings if one.violations]
    fired = sum(one.phase == "fired" for one in record.happened)
    verdict = f"Broken: {', '.join(broken)}." if broken else "All invariants hold."
    return [
        *(line for one in findings for line in one.words()),
        f"Duplicate paid calls: {duplicates(record)} of {len(record.calls)}, under {fired} faults.",
        f"{verdict} (seed {record.plan.seed}, {len(record.stories)} workflows, {len(record.log)} events)",
    ]
