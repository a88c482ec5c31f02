"""The read tables: one module a table, its SQL beside it."""

from typing import Any

from services.projector.table import Table
from services.projector.tables.blog_posts import blog_posts
from services.projector.tables.images import images
from services.projector.tables.social_media_posts import social_media_posts
from services.projector.tables.sources import sources
from services.projector.tables.workflows import workflows

TABLES: tuple[Table[Any], ...] = (workflows, blog_posts, social_media_posts, images, sources)
