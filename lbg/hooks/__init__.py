"""Python of the user's: found by its name, and contained while it runs."""
