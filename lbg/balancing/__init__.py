"""Balancing policies: one file each, pure, no I/O."""
