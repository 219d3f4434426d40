"""lbg: a production HTTP load balancer for Python teams."""

__version__ = "0.1.0"
