"""The WSGI entry point: `gunicorn -c gunicorn.conf.py lbg.wsgi`, or any other WSGI server."""

import os

from lbg.app.application import create

application = create(os.environ)
