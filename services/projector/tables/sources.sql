CREATE TABLE sources (
    owner text NOT NULL,
    workflow_id text NOT NULL,
    edition bigint NOT NULL,
    number bigint NOT NULL,
    position bigint NOT NULL,
    url text NOT NULL,
    title text NOT NULL,
    quote text,
    retrieved_at timestamptz NOT NULL,
    PRIMARY KEY (owner, workflow_id, edition, number)
);

COMMENT ON TABLE sources IS 'One row a source that research found; every column is set by research-completed';
COMMENT ON COLUMN sources.owner IS 'Whose workflow found it';
COMMENT ON COLUMN sources.workflow_id IS 'The workflow that found it';
COMMENT ON COLUMN sources.edition IS '1, and one more for each time research was made anew';
COMMENT ON COLUMN sources.number IS 'The number under which texts cite it';
COMMENT ON COLUMN sources.position IS 'Where the event stands in the log';
COMMENT ON COLUMN sources.url IS 'The page';
COMMENT ON COLUMN sources.title IS 'The page''s title';
COMMENT ON COLUMN sources.quote IS 'Text of the page; null where none was kept';
COMMENT ON COLUMN sources.retrieved_at IS 'When the page was read';
