"""The configuration: read, checked and kept as one immutable value."""
