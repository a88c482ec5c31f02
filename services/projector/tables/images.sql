CREATE TABLE images (
    id text NOT NULL,
    owner text NOT NULL,
    workflow_id text NOT NULL,
    edition bigint NOT NULL,
    position bigint NOT NULL,
    key text NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    width bigint NOT NULL,
    height bigint NOT NULL,
    content_type text NOT NULL,
    prompt text NOT NULL,
    alt_text text NOT NULL,
    usage jsonb,
    drawn_at timestamptz NOT NULL,
    PRIMARY KEY (owner, workflow_id, edition)
);

CREATE UNIQUE INDEX ON images (owner, id);
CREATE UNIQUE INDEX ON images (owner, position);

COMMENT ON TABLE images IS 'One row an illustration; every column is set by illustration-drawn';
COMMENT ON COLUMN images.id IS 'The id of the event';
COMMENT ON COLUMN images.owner IS 'Whose workflow made it';
COMMENT ON COLUMN images.workflow_id IS 'The workflow that made it';
COMMENT ON COLUMN images.edition IS '1, and one more for each time it was made anew';
COMMENT ON COLUMN images.position IS 'Where the event stands in the log; newest first goes by it';
COMMENT ON COLUMN images.key IS 'Where the picture is in the object store';
COMMENT ON COLUMN images.sha256 IS 'The hash of the picture''s bytes, in hex; GET /images/{sha256} serves it';
COMMENT ON COLUMN images.bytes IS 'Its size in bytes';
COMMENT ON COLUMN images.width IS 'Its width in pixels';
COMMENT ON COLUMN images.height IS 'Its height in pixels';
COMMENT ON COLUMN images.content_type IS 'Its type, as image/png';
COMMENT ON COLUMN images.prompt IS 'What the model was asked to draw';
COMMENT ON COLUMN images.alt_text IS 'What it shows, for those who cannot see it';
COMMENT ON COLUMN images.usage IS 'What its making used of the provider; null where that was not told';
COMMENT ON COLUMN images.drawn_at IS 'When it was recorded';
