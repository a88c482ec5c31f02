"""How a workflow's steps are put into words: for a terminal that is drawn again and again, and line by line. Pure."""

from datetime import datetime

from cli.frames import ATTEMPT_FAILED, REQUESTED, Frame
from cli.progress import Progress, State, Step
from cli.wording import clock, lasted, moment_of, name_of, one_line, sentence
from contracts.workflow import ATTEMPTS_MAX

BILLED = "may have been billed"

MARKS = {
    State.WAITING: "·",
    State.WORKING: "▸",
    State.RETRYING: "↻",
    State.DONE: "✓",
    State.GIVEN_UP: "✗",
    State.STOPPED: "–",
}


def words_of(step: Step, now: datetime) -> str:
    """Where the step stands, in a line."""
    match step.state:
        case State.WAITING:
            return "waiting"
        case State.WORKING:
            attempt = f", attempt {step.attempt}" if step.attempt > 1 else ""
            return f"working{attempt}" + (f", {lasted(now - step.began)}" if step.began else "")
        case State.RETRYING:
            when = f"retry at {clock(step.retry_at)}" if step.retry_at else "retry soon"
            return f"{when} because attempt {step.attempt} failed: {step.why}"
        case State.DONE:
            took = f"done in {lasted(step.ended - step.began)}" if step.began and step.ended else "done"
            return f"{took} · {step.made}" if step.made else took
        case State.GIVEN_UP:
            return f"given up: {step.why}"
        case State.STOPPED:
            return "not made"


def event_in_words(frame: Frame) -> str:
    """What happened, in a line: the server's own sentence, and what it leaves out of a failure."""
    said = one_line(frame.payload) or frame.event
    if frame.event == ATTEMPT_FAILED and frame.error:
        said = failure_in_words(frame)
    elif frame.error and one_line(frame.error.message) not in said:
        said = f"{sentence(said)} {one_line(frame.error.message)}"
    if frame.event == REQUESTED:
        said = f"{said} (workflow {frame.workflow_id})"
    return f"{clock(frame.ts)}  {said}" if frame.ts else said


def failure_in_words(frame: Frame) -> str:
    """Why an attempt failed, what that may have cost, and when it is tried again by the reader's clock."""
    why = sentence(frame.error.message if frame.error else frame.payload)
    code = f" ({one_line(frame.error.code)})" if frame.error else ""
    if frame.data.get("cost_known") is False and BILLED not in why:
        why += f" It {BILLED}."
    retry_at = moment_of(frame.data.get("retry_at"))
    again = f"It is tried again at {clock(retry_at)}." if retry_at else "It is tried again."
    return f"{name_of(frame.work)}, attempt {frame.attempt} of {ATTEMPTS_MAX} failed{code}: {why} {again}"


def loss_in_words(step: Step) -> str:
    """That the attempt before this one was lost; nothing where it was not."""
    if not step.lost:
        return ""
    name, lost = name_of(step.work), f"attempt {step.lost} of {ATTEMPTS_MAX}"
    return f"{name}, {lost} was lost: its process died or fell silent. It {BILLED}."


def time_passed(progress: Progress, now: datetime) -> str:
    """Since it was requested, until it ended or until now."""
    if progress.requested_at is None:
        return ""
    return lasted((progress.told_at if progress.is_closed and progress.told_at else now) - progress.requested_at)


def outcome_in_words(progress: Progress) -> str:
    """How the workflow ended, in a sentence."""
    match progress.phase:
        case "completed":
            return "The workflow is complete."
        case "failed":
            why = progress.error.message if progress.error else "no reason was told"
            return f"The workflow failed. {name_of(progress.failed_work)}: {sentence(why)}"
        case "cancelled":
            return "The workflow was cancelled" + (f": {sentence(progress.reason)}" if progress.reason else ".")
        case _:
            return "The workflow goes on."
