CREATE TABLE social_media_posts (
    id text NOT NULL,
    owner text NOT NULL,
    workflow_id text NOT NULL,
    platform text NOT NULL,
    edition bigint NOT NULL,
    position bigint NOT NULL,
    text text NOT NULL,
    length bigint NOT NULL,
    usage jsonb,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (owner, workflow_id, platform, edition)
);

CREATE UNIQUE INDEX ON social_media_posts (owner, id);
CREATE UNIQUE INDEX ON social_media_posts (owner, position);
CREATE INDEX ON social_media_posts (owner, platform, position);

COMMENT ON TABLE social_media_posts IS 'One row a post for a platform; every column is set by social-post-written';
COMMENT ON COLUMN social_media_posts.id IS 'The id of the event';
COMMENT ON COLUMN social_media_posts.owner IS 'Whose workflow made it';
COMMENT ON COLUMN social_media_posts.workflow_id IS 'The workflow that made it';
COMMENT ON COLUMN social_media_posts.platform IS 'The platform that it was written for';
COMMENT ON COLUMN social_media_posts.edition IS '1, and one more for each time it was made anew';
COMMENT ON COLUMN social_media_posts.position IS 'Where the event stands in the log; newest first goes by it';
COMMENT ON COLUMN social_media_posts.text IS 'The post';
COMMENT ON COLUMN social_media_posts.length IS 'Its length in the platform''s own measure';
COMMENT ON COLUMN social_media_posts.usage IS 'What its making used of the provider; null where that was not told';
COMMENT ON COLUMN social_media_posts.written_at IS 'When it was recorded';
