"""Tests of the one-machine start."""
