"""Mutation fuzzing of what reads files from outside; see docs/fuzzing.md and scripts/fuzz."""
