"""Gunicorn settings for lbg: `gunicorn -c gunicorn.conf.py lbg.wsgi`.

lbg itself is configured in lbg.toml or by LBG_* variables. A gunicorn setting added below wins.
"""

from lbg.server.settings import settings

globals().update(settings())
