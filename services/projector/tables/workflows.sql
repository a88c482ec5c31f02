CREATE TABLE workflows (
    owner text NOT NULL,
    workflow_id text NOT NULL,
    topic text NOT NULL,
    research boolean NOT NULL,
    platforms jsonb NOT NULL,
    brief jsonb NOT NULL,
    client_request_id text,
    status text NOT NULL,
    run bigint NOT NULL,
    revision bigint NOT NULL,
    requested_position bigint NOT NULL,
    position bigint NOT NULL,
    requested_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    closed_at timestamptz,
    title text,
    notes text,
    error jsonb,
    reason text,
    works jsonb NOT NULL,
    usage jsonb NOT NULL,
    search tsvector GENERATED ALWAYS AS (
        -- Letters and digits make words, in lower case, whatever stands between them; also where the locale is C.
        to_tsvector('simple', regexp_replace(
            lower((topic || ' ' || coalesce(left(title, 1000), '')) COLLATE pg_c_utf8), '[^[:alnum:]]+', ' ', 'g'
        ))
    ) STORED,
    PRIMARY KEY (owner, workflow_id)
) WITH (fillfactor = 80);  -- a row is changed about ten times: room for it beside itself

CREATE UNIQUE INDEX ON workflows (owner, requested_position);
CREATE INDEX ON workflows (owner, status, requested_position);
CREATE INDEX ON workflows USING gin (search) WITH (fastupdate = off);  -- else each search reads a list of what is new

COMMENT ON TABLE workflows IS 'One row a workflow: what was asked for, where it stands, and how its works went';
COMMENT ON COLUMN workflows.owner IS 'Whose workflow it is';
COMMENT ON COLUMN workflows.workflow_id IS 'Its id';
COMMENT ON COLUMN workflows.topic IS 'What to write about (workflow-requested)';
COMMENT ON COLUMN workflows.research IS 'Whether sources were asked for (workflow-requested)';
COMMENT ON COLUMN workflows.platforms IS 'A list of platforms (workflow-requested)';
COMMENT ON COLUMN workflows.brief IS 'Tone, audience, language, length (workflow-requested)';
COMMENT ON COLUMN workflows.client_request_id IS 'The client''s own id of its request (workflow-requested)';
COMMENT ON COLUMN workflows.status IS 'open, completed, failed or cancelled: the last event that opened or closed a run';
COMMENT ON COLUMN workflows.run IS '1, and one more for each resume (workflow-requested, workflow-resumed)';
COMMENT ON COLUMN workflows.revision IS 'How many events it has (each event)';
COMMENT ON COLUMN workflows.requested_position IS 'Where its request stands in the log; newest first goes by it';
COMMENT ON COLUMN workflows.position IS 'Where its last event stands in the log (each event)';
COMMENT ON COLUMN workflows.requested_at IS 'When it was asked for (workflow-requested)';
COMMENT ON COLUMN workflows.updated_at IS 'When its last event was recorded (each event)';
COMMENT ON COLUMN workflows.closed_at IS 'When its run ended; null while one is open';
COMMENT ON COLUMN workflows.title IS 'The blog post''s title (blog-written)';
COMMENT ON COLUMN workflows.notes IS 'What research found, in words (research-completed)';
COMMENT ON COLUMN workflows.error IS 'Why the run failed: work, code, message, retryable (workflow-failed); null otherwise';
COMMENT ON COLUMN workflows.reason IS 'Why it was cancelled, or resumed (workflow-cancelled, workflow-resumed)';
COMMENT ON COLUMN workflows.works IS 'A list of works, each with its status, its attempts and what they used (docs/read-tables.md)';
COMMENT ON COLUMN workflows.usage IS 'Sums over every event that tells of usage (docs/read-tables.md)';
COMMENT ON COLUMN workflows.search IS 'The words of topic and title, for the text search';
