"""The statements with which the library reads: one for each read, so that all its parts are of one snapshot.

The views in `read` may change over to other tables at any moment, in one transaction that drops and makes them anew. In
READ COMMITTED, a statement that meets it waits for its locks, and takes its snapshot behind them. So one statement sees
one state, but two may see two: that is why no read is put together from several.

A rebuild drops the views in this order: workflows, blog_posts, social_media_posts, images, sources, checkpoint,
quarantine. Each statement names them in that order as well, so that the two never wait for each other.

`$1` is always the owner. Newest first goes by the place in the log: `at`, which is what a cursor holds.
"""

# ruff: noqa: S608 - the statements are put together from the constants of this file alone

POSITION = "SELECT position FROM read.checkpoint"
REACHED = f"SELECT ({POSITION}) AS position"
"""Up to which position the tables contain the log; null before there are tables."""

WALKED = 1_000
"""Of a text search: so many of the newest workflows are looked through before the index of words is asked.

Words that more than 2 % of the workflows have fill a page of 20 on the way. Rarer ones have few enough matches to take
all of them from the index and sort them. Either alone takes 100 ms and more for the other's words at 100,000 workflows.
"""


def _page(rows: str) -> str:
    """The rows as a list, newest first, and the tables' position."""
    return f"""
    SELECT (SELECT coalesce(jsonb_agg(page ORDER BY page.at DESC), '[]') FROM ({rows}) AS page) AS found,
           ({POSITION}) AS position
    """


def _one(row: str) -> str:
    """The row, null where there is none, and the tables' position."""
    return f"SELECT (SELECT to_jsonb(one) FROM ({row}) AS one) AS found, ({POSITION}) AS position"


def _list(rows: str, order: str) -> str:
    """The rows as a list, empty where there are none."""
    return f"(SELECT coalesce(jsonb_agg(part ORDER BY {order}), '[]') FROM ({rows}) AS part)"


# ---------------------------------------------------------------- workflows

_SUMMARY = """
    workflow_id, topic, title, status, run, research, platforms, error, reason, requested_at, updated_at, closed_at,
    revision, position, usage -> 'cost_usd' AS cost_usd, usage -> 'cost_known' AS cost_known, requested_position AS at
"""

_OLDER_WORKFLOWS = """
    FROM read.workflows
    WHERE owner = $1 AND requested_position < $2 AND ($4::text IS NULL OR status = $4)
"""

WORKFLOWS = _page(f"SELECT {_SUMMARY} {_OLDER_WORKFLOWS} ORDER BY requested_position DESC LIMIT $3")
"""$2: older than this position, $3: at most so many, $4: with this status, or null."""

WORKFLOWS_WITH_WORDS = _page(f"""
    WITH newest AS MATERIALIZED (
        SELECT requested_position
        FROM (
            SELECT requested_position, search {_OLDER_WORKFLOWS} ORDER BY requested_position DESC LIMIT {WALKED}
        ) AS walked
        WHERE search @@ to_tsquery('simple', $5)
        ORDER BY requested_position DESC LIMIT $3
    ), matching AS MATERIALIZED (
        SELECT requested_position {_OLDER_WORKFLOWS}
        AND search @@ to_tsquery('simple', $6) AND (search @@ to_tsquery('simple', $5)) IS TRUE
        AND (SELECT count(*) FROM newest) < $3
    )
    SELECT {_SUMMARY}
    FROM read.workflows
    WHERE owner = $1 AND requested_position IN (
        SELECT requested_position FROM newest
        UNION (SELECT requested_position FROM matching ORDER BY requested_position DESC LIMIT $3)
    )
    ORDER BY requested_position DESC LIMIT $3
""")
"""As WORKFLOWS; $5: what their words have to match, as Postgres writes a tsquery.

$6 is that part of it for which the index is asked. Each beginning of a word costs the index milliseconds, so the others
are looked for in the rows that are left: IS TRUE keeps the planner from asking the index for them as well.
"""

# ---------------------------------------------------------------- artefacts

_POST = "id, workflow_id, edition, title, markdown, cited, usage, written_at, position"
_SOCIAL_MEDIA_POST = "id, workflow_id, platform, edition, text, length, usage, written_at, position"
_IMAGE = """
    id, workflow_id, edition, '/images/' || sha256 AS picture, sha256, bytes, width, height, content_type, prompt,
    alt_text, usage, drawn_at, position
"""
_SOURCE = "edition, number, url, title, quote, retrieved_at"


def _with_topic(rows: str) -> str:
    """The rows, each with its workflow's topic. `workflows` is named first: see the order above."""
    return f"SELECT made.*, topic FROM read.workflows RIGHT JOIN ({rows}) AS made USING (owner, workflow_id)"


def _older(table: str, columns: str, condition: str = "true") -> str:
    """$2: older than this position, $3: at most so many, $4: of this workflow, or null."""
    return f"""
    SELECT owner, {columns}, position AS at FROM read.{table}
    WHERE owner = $1 AND position < $2 AND ($4::text IS NULL OR workflow_id = $4) AND {condition}
    ORDER BY position DESC LIMIT $3
    """


def _by_id(table: str, columns: str) -> str:
    """$2: the id."""
    return f"SELECT owner, {columns} FROM read.{table} WHERE owner = $1 AND id = $2"


BLOG_POSTS = _page(
    _with_topic(
        _older(
            "blog_posts",
            "id, workflow_id, edition, title, left(markdown, 1000) AS beginning, cited, written_at, position",
        )
    )
)
SOCIAL_MEDIA_POSTS = _page(
    _with_topic(_older("social_media_posts", _SOCIAL_MEDIA_POST, "($5::text IS NULL OR platform = $5)"))
)
"""$5: for this platform, or null."""
IMAGES = _page(_with_topic(_older("images", _IMAGE)))

SOCIAL_MEDIA_POST = _one(_with_topic(_by_id("social_media_posts", _SOCIAL_MEDIA_POST)))
IMAGE = _one(_with_topic(_by_id("images", _IMAGE)))

_RESEARCH_IT_KNEW = """
    SELECT max(edition) FROM read.sources
    WHERE owner = $1 AND workflow_id = post.workflow_id AND position < post.position
"""
_CITED = f"""
    SELECT {_SOURCE} FROM read.sources
    WHERE owner = $1 AND workflow_id = post.workflow_id AND edition = ({_RESEARCH_IT_KNEW})
    AND post.cited @> to_jsonb(number)
"""
BLOG_POST = _one(f"""
    SELECT post.*, {_list(_CITED, "number")} AS sources
    FROM ({_with_topic(_by_id("blog_posts", _POST))}) AS post
""")

# ---------------------------------------------------------------- a whole workflow


def _made(table: str, columns: str) -> str:
    """What the workflow made, in the order in which it was made."""
    return _list(f"SELECT {columns} FROM read.{table} WHERE owner = $1 AND workflow_id = $2", "position")


_SOURCES = _list(f"SELECT {_SOURCE} FROM read.sources WHERE owner = $1 AND workflow_id = $2", "edition, number")

_HELD = "position, subject, error, events, held_at"

WORKFLOW = f"""
    SELECT (
        SELECT to_jsonb(one) FROM (
            SELECT {_SUMMARY}, brief, client_request_id, notes, works, usage,
                   {_made("blog_posts", _POST)} AS blog_posts,
                   {_made("social_media_posts", _SOCIAL_MEDIA_POST)} AS social_media_posts,
                   {_made("images", _IMAGE)} AS images,
                   {_SOURCES} AS sources
            FROM read.workflows WHERE owner = $1 AND workflow_id = $2
        ) AS one
    ) AS found, ({POSITION}) AS position,
    (SELECT to_jsonb(one) FROM (
        SELECT {_HELD} FROM read.quarantine WHERE owner = $1 AND workflow_id = $2
    ) AS one) AS held
"""
"""$2: its id. `held` may be there without the workflow: then its very first event cannot be read."""

SOURCES = _one(f"""
    SELECT workflow_id, topic, notes, {_SOURCES} AS items FROM read.workflows WHERE owner = $1 AND workflow_id = $2
""")
"""$2: the workflow's id. All that research found for it, of whatever edition."""

QUARANTINE = f"""
    SELECT ({POSITION}) AS position,
           (SELECT coalesce(jsonb_agg(page ORDER BY page.at DESC), '[]') FROM (
               SELECT workflow_id, {_HELD}, position AS at FROM read.quarantine
               WHERE owner = $1 AND position < $2 ORDER BY position DESC LIMIT $3
           ) AS page) AS found
"""
"""$2: older than this position, $3: at most so many."""

_SO_FAR = "workflow_id, topic, run, usage -> 'cost_usd' AS cost_usd, usage -> 'cost_known' AS cost_known"

_FAILED = f"""
    SELECT 'failed' AS kind, {_SO_FAR}, error - 'work' - 'retryable' AS reason, error ->> 'work' AS work,
           closed_at AS since, NULL::bigint AS events, requested_position AS position
    FROM workflow
    WHERE status = 'failed' AND error @> '{{"retryable": true}}' AND requested_position < $2
    AND coalesce($4::text, 'failed') = 'failed'
    AND NOT EXISTS (SELECT FROM quarantined WHERE quarantined.workflow_id = workflow.workflow_id)
    ORDER BY requested_position DESC LIMIT $3
"""
_HELD_BACK = f"""
    SELECT 'held' AS kind, {_SO_FAR},
           jsonb_build_object('code', 'history-unreadable', 'message', latest.error) AS reason, NULL AS work,
           held_at AS since, events, latest.position AS position
    FROM (
        SELECT * FROM quarantined WHERE position < $2 AND coalesce($4::text, 'held') = 'held'
        ORDER BY position DESC LIMIT $3
    ) AS latest LEFT JOIN workflow USING (workflow_id)
"""
PARKED = f"""
    WITH workflow AS NOT MATERIALIZED (SELECT * FROM read.workflows WHERE owner = $1),
    reached AS ({POSITION}),
    quarantined AS NOT MATERIALIZED (SELECT * FROM read.quarantine WHERE owner = $1)
    SELECT (SELECT coalesce(jsonb_agg(page ORDER BY page.at DESC), '[]') FROM (
               SELECT parked.*, position AS at FROM (({_FAILED}) UNION ALL ({_HELD_BACK})) AS parked
               ORDER BY position DESC LIMIT $3
           ) AS page) AS found,
           (SELECT position FROM reached) AS position
"""
"""$2: older than this position, $3: at most so many, $4: of this kind, or null.

It begins with all three names, so that they stand in the order above. A failed workflow goes by the place of its
request, for which there is an index, and one that is held by that of the event that cannot be read: so no two have the
same. What is held is told as that alone: nobody knows whether it still stands as the tables show it.
"""

# ---------------------------------------------------------------- the tables themselves

PROJECTION = f"""
    SELECT ({POSITION}) AS position,
           (SELECT to_jsonb(one) FROM (
               SELECT generation, position, moved_at, (SELECT count(*) FROM read.quarantine) AS held
               FROM read.checkpoint
           ) AS one) AS found
"""
"""Of all owners: it is about the tables, not about what is in them."""
