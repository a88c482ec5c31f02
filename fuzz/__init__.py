"""Fuzzing: whatever bytes come from outside, only the named error comes out, and what is accepted reads the same again.

__main__ ──a process each──> one ──atheris──> targets/        ./run fuzz [TARGET …] [--seconds 60]

The targets are plain functions, which the ordinary tests try with their seeds; only `one` needs atheris.
"""
