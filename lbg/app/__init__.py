"""The composition root: a configuration becomes a WSGI application, and another one takes its place."""
