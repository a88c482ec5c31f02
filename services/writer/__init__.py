"""The writer: the blog post and the social posts."""
