"""The report: short enough to be read, whatever came out."""

import pytest

from contracts.subjects import WorkflowKey
from services.projector.verify import report
from services.projector.verify.books import Books, Hold
from services.projector.verify.report import LINES_MAX, Report, words
from tests.contracts.given import KEY


class TestReport:
    def test_agreement_is_one_sentence(self) -> None:
        assert list(words(a_report()))[-1] == "No difference: they say what the log says."

    def test_the_first_differences_are_listed_and_the_rest_counted(self) -> None:
        told = list(words(a_report(differences=LINES_MAX + 1_003)))
        assert "Different: 1,053 things." in told
        assert told[-2:] == ["  row 49: is wrong", "  … and 1,003 more"]

    def test_what_is_not_kept_is_counted_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(report, "DIFFERENCES_MAX", 60)
        told = a_report(differences=100)
        assert (len(told.differences), told.differences_count) == (60, 100)
        assert list(words(told))[-1] == "  … and 50 more"

    def test_one_thing_is_told_as_one(self) -> None:
        assert "Different: 1 thing." in list(words(a_report(differences=1)))

    def test_each_held_workflow_is_told_in_one_line(self) -> None:
        hold = Hold(17, "somewhere", "it is\nno JSON", 2)
        told = list(words(a_report(quarantine={KEY: hold})))
        assert told[-3:-1] == ["Held: 1 workflow.", "  local/0195-tea from position 17 on, 2 events: it is no JSON"]


def a_report(*, differences: int = 0, quarantine: dict[WorkflowKey, Hold] | None = None) -> Report:
    made = Report(Books(1, "log", 17, 17, 0, quarantine or {}))
    for number in range(differences):
        made.differ(f"row {number}", "is wrong")
    return made
