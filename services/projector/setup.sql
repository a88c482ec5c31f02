-- The rooms of the database, and who may enter them. Run by a superuser who owns the database, before the projector and
-- the gateway start; safe to repeat.

REVOKE ALL ON DATABASE pressroom FROM PUBLIC;
GRANT CONNECT, CREATE ON DATABASE pressroom TO projector;
GRANT CONNECT ON DATABASE pressroom TO gateway;

-- The archive: a second copy of the log. The projector may add to it; nobody but the owner may change or delete.
CREATE SCHEMA IF NOT EXISTS archive;
CREATE TABLE IF NOT EXISTS archive.events (
    epoch text NOT NULL,
    position bigint NOT NULL,
    subject text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    sha256 bytea NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (epoch, position)
);
COMMENT ON TABLE archive.events IS 'Every message of the log as it stands there, readable or not';
COMMENT ON COLUMN archive.events.epoch IS 'Which log: the id that it was given when it was made';
COMMENT ON COLUMN archive.events.position IS 'Its place in the log';
COMMENT ON COLUMN archive.events.subject IS 'The subject under which it is stored';
COMMENT ON COLUMN archive.events.headers IS 'Its headers, as a JSON object';
COMMENT ON COLUMN archive.events.body IS 'Its body, byte for byte';
COMMENT ON COLUMN archive.events.sha256 IS 'The hash of subject, headers and body (services/projector/archive.py)';
COMMENT ON COLUMN archive.events.archived_at IS 'When it was archived';
-- What a damaged log held and its archive did not, when it was restored. As the archive itself, it only grows.
CREATE TABLE IF NOT EXISTS archive.set_aside (
    epoch text NOT NULL,
    position bigint NOT NULL,
    subject text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    sha256 bytea NOT NULL,
    is_appended boolean NOT NULL,
    why text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (epoch, position, sha256, is_appended)
);
COMMENT ON TABLE archive.set_aside IS 'Every event that a damaged log held and its archive did not, when it was restored';
COMMENT ON COLUMN archive.set_aside.epoch IS 'Which log: the id that it was given when it was made';
COMMENT ON COLUMN archive.set_aside.position IS 'The place that it had in the damaged log';
COMMENT ON COLUMN archive.set_aside.subject IS 'The subject under which it was stored';
COMMENT ON COLUMN archive.set_aside.headers IS 'Its headers, as a JSON object';
COMMENT ON COLUMN archive.set_aside.body IS 'Its body, byte for byte';
COMMENT ON COLUMN archive.set_aside.sha256 IS 'The hash of subject, headers and body (services/projector/archive.py)';
COMMENT ON COLUMN archive.set_aside.is_appended IS 'Whether it was to stand behind the archived events again; else it is only here';
COMMENT ON COLUMN archive.set_aside.why IS 'Why it did not';
COMMENT ON COLUMN archive.set_aside.set_aside_at IS 'When that was';
-- Also where somebody made it before.
ALTER SCHEMA archive OWNER TO CURRENT_USER;
ALTER TABLE archive.events OWNER TO CURRENT_USER;
ALTER TABLE archive.set_aside OWNER TO CURRENT_USER;
REVOKE ALL ON SCHEMA archive FROM projector;
REVOKE ALL ON archive.events, archive.set_aside FROM projector;
GRANT USAGE ON SCHEMA archive TO projector;
GRANT SELECT, INSERT ON archive.events, archive.set_aside TO projector;

-- The projector's own books. Each generation of read tables, a schema read_<generation>, has its own checkpoint.
CREATE SCHEMA IF NOT EXISTS projection AUTHORIZATION projector;
-- What readers see: views of the generation that is live. Nothing else is open to the gateway.
CREATE SCHEMA IF NOT EXISTS read AUTHORIZATION projector;

SET ROLE projector;

CREATE TABLE IF NOT EXISTS projection.checkpoints (
    generation bigint PRIMARY KEY,
    shape text NOT NULL,
    epoch text NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    applied bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE projection.checkpoints IS 'How far each generation of read tables has come';
COMMENT ON COLUMN projection.checkpoints.generation IS 'The tables are in the schema read_<generation>';
COMMENT ON COLUMN projection.checkpoints.shape IS 'A hash of the tables'' SQL: code of another shape may not write to them';
COMMENT ON COLUMN projection.checkpoints.epoch IS 'The log that they were built from';
COMMENT ON COLUMN projection.checkpoints.position IS 'The last event that they contain';
COMMENT ON COLUMN projection.checkpoints.applied IS 'How many events were applied';
COMMENT ON COLUMN projection.checkpoints.held IS 'How many were held; applied and held together are the position';
COMMENT ON COLUMN projection.checkpoints.moved_at IS 'When it last moved';

CREATE TABLE IF NOT EXISTS projection.live (
    generation bigint NOT NULL REFERENCES projection.checkpoints,
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only)
);
COMMENT ON TABLE projection.live IS 'One row: the generation that readers see and the projector keeps';

CREATE TABLE IF NOT EXISTS projection.quarantine (
    generation bigint NOT NULL REFERENCES projection.checkpoints ON DELETE CASCADE,
    owner text NOT NULL,
    workflow_id text NOT NULL,
    position bigint NOT NULL,
    subject text NOT NULL,
    error text NOT NULL,
    events bigint NOT NULL,
    held_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (generation, owner, workflow_id)
);
COMMENT ON TABLE projection.quarantine IS 'Workflows that are held, because one of their events cannot be read or applied';
COMMENT ON COLUMN projection.quarantine.position IS 'The event from which on it is held';
COMMENT ON COLUMN projection.quarantine.subject IS 'That event''s subject';
COMMENT ON COLUMN projection.quarantine.error IS 'What is wrong with it';
COMMENT ON COLUMN projection.quarantine.events IS 'How many of its events are held by now, that one included';
COMMENT ON COLUMN projection.quarantine.held_at IS 'Since when';

GRANT USAGE ON SCHEMA read TO gateway;
ALTER DEFAULT PRIVILEGES IN SCHEMA read GRANT SELECT ON TABLES TO gateway;

RESET ROLE;
