CREATE TABLE blog_posts (
    id text NOT NULL,
    owner text NOT NULL,
    workflow_id text NOT NULL,
    edition bigint NOT NULL,
    position bigint NOT NULL,
    title text NOT NULL,
    markdown text NOT NULL,
    cited jsonb NOT NULL,
    usage jsonb,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (owner, workflow_id, edition)
);

CREATE UNIQUE INDEX ON blog_posts (owner, id);
CREATE UNIQUE INDEX ON blog_posts (owner, position);

COMMENT ON TABLE blog_posts IS 'One row a blog post; every column is set by blog-written';
COMMENT ON COLUMN blog_posts.id IS 'The id of the event';
COMMENT ON COLUMN blog_posts.owner IS 'Whose workflow made it';
COMMENT ON COLUMN blog_posts.workflow_id IS 'The workflow that made it';
COMMENT ON COLUMN blog_posts.edition IS '1, and one more for each time it was made anew';
COMMENT ON COLUMN blog_posts.position IS 'Where the event stands in the log; newest first goes by it';
COMMENT ON COLUMN blog_posts.title IS 'Its title';
COMMENT ON COLUMN blog_posts.markdown IS 'The post, in Markdown';
COMMENT ON COLUMN blog_posts.cited IS 'A list of the numbers of the sources that it cites';
COMMENT ON COLUMN blog_posts.usage IS 'What its making used of the provider; null where that was not told';
COMMENT ON COLUMN blog_posts.written_at IS 'When it was recorded';
