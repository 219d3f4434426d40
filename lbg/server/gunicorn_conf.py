"""The configuration file that `lbg run` gives to gunicorn, which executes it at every reload."""

from lbg.server.settings import settings

globals().update(settings())
