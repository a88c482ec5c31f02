"""The illustrator: the picture."""
