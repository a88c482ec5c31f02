"""Planted bugs: a service with one rule taken out, so that the harness can be seen finding it.

A harness that was never seen failing proves nothing. Nothing of this exists in the product: each bug replaces a
function of one service when it starts, and only here.

    python -m chaos.planted BUG services.writer        runs that service with that bug
    python -m chaos.hunt                               has the harness hunt for each of them
"""

from chaos.planted.bug import Bug
from contracts.services import GATEWAY, ILLUSTRATOR, PROJECTOR, STAGES

ANY_STAGE = tuple(STAGES)

_ALL = (
    # the delivery protocol
    Bug("fence-dropped", "an event is appended without the fence", ANY_STAGE, (5,), "runner.drop_fence"),
    Bug("ack-before-append", "a delivery is acked before its result", ANY_STAGE, (1,), "runner.ack_first", ("call",)),
    Bug("claim-ignored", "a call is paid for without an open claim", ANY_STAGE, (5, 9), "runner.ignore_claims"),
    Bug(
        "late-success-lost",
        "a success that comes late is thrown away",
        ANY_STAGE,
        (9,),
        "runner.throw_away_late_successes",
        ("model-quota",),
        workflows=10,
    ),
    Bug(
        "named-by-cause",
        "an event is named for JetStream by its type and cause: a second one is acked, and not stored",
        ANY_STAGE,
        (3,),
        "runner.name_by_cause",
    ),
    Bug(
        "post-forgotten", "a workflow is completed without one of its posts", ANY_STAGE, (2,), "runner.forget_last_post"
    ),
    Bug(
        "answers-not-kept",
        "an answer is used without being kept first",
        ANY_STAGE,
        (9,),
        "runner.keep_no_answers",
        ("append-sent", "upload"),
        workflows=20,
    ),
    Bug(
        "heartbeat-left",
        "the heartbeat of a delivery goes on when it has ended",
        ANY_STAGE,
        (12,),
        "runner.leave_heartbeats",
        workflows=30,
    ),
    Bug(
        "files-left-open",
        "the file of an answer stays open",
        ANY_STAGE,
        (12,),
        "runner.leave_files_open",
        workflows=40,
    ),
    Bug(
        "upload-believed",
        "a picture that was uploaded is not read back",
        (ILLUSTRATOR,),
        (8,),
        "pictures.trust_the_store",
        ("s3-wrong-bytes",),
        workflows=8,
    ),
    # the projector
    Bug(
        "checkpoint-outside",
        "the checkpoint moves outside the transaction of its rows",
        (PROJECTOR,),
        (6, 7),
        "tables.move_checkpoint_outside",
        ("postgres-commit",),
    ),
    Bug(
        "future-skipped",
        "an event of a future version is passed over",
        (PROJECTOR,),
        (6, 7, 14),
        "tables.skip_the_future",
        ("hostile-events",),
    ),
    Bug("archive-skips", "the archive lacks an event now and then", (PROJECTOR,), (10,), "tables.skip_in_archive"),
    Bug(
        "epoch-ignored",
        "a log that is another one, or was rolled back, is taken for the same",
        (PROJECTOR,),
        (6, 7, 10),
        "tables.ignore_epoch",
        ("rollback",),
        workflows=8,
    ),
    # the gateway
    Bug(
        "live-before-history",
        "what is live is told before the history",
        (GATEWAY,),
        (11,),
        "gateway.tell_live_first",
    ),
    Bug(
        "tail-never-looks",
        "the tail reads the history no second time",
        (GATEWAY,),
        (11,),
        "gateway.never_look_again",
        ("live-lost",),
        workflows=12,
    ),
    Bug("frames-dropped", "every fiftieth event is not told", (GATEWAY,), (11,), "gateway.drop_frames", workflows=10),
    Bug(
        "request-id-ignored",
        "a request id that was used before starts another workflow",
        (GATEWAY,),
        (4,),
        "gateway.ignore_request_ids",
    ),
    Bug("places-kept", "a stream that has ended keeps its place", (GATEWAY,), (12,), "gateway.keep_places"),
    # the model
    Bug(
        "quota-retried",
        "a call is made again although the quota is used up",
        ANY_STAGE,
        (9,),
        "model.retry_quota",
        ("model-quota",),
    ),
    Bug(
        "retry-after-ignored",
        "a call is made again before its Retry-After",
        ANY_STAGE,
        (9,),
        "model.ignore_retry_after",
        ("model",),
        workflows=10,
    ),
    Bug("key-logged", "the key stands in the log", ANY_STAGE, (13,), "model.log_key"),
    Bug(
        "prompt-in-header",
        "the brief stands in an event's header",
        (GATEWAY,),
        (13,),
        "model.put_prompt_into_header",
    ),
)

BUGS: dict[str, Bug] = {bug.name: bug for bug in _ALL}
"""All of them, by name."""
