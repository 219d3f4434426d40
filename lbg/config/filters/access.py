"""`access`: who may come, and for what."""

from typing import Annotated, Literal

from lbg.config.fields import Network, OneOrList
from lbg.config.route_fields import Once, Paths, Regex, RouteMethods
from lbg.config.section import Section

Networks = Annotated[tuple[Network, ...], Once, OneOrList]


class AccessConfig(Section):
    """`access`: of the networks that hold the client the smallest decides."""

    use: Literal["access"]
    allow: Networks = ()
    deny: Networks = ()
    default: Literal["allow", "deny"] | None = None
    """For a client in none of them; needed where both lists are there, else the opposite of the list."""
    deny_paths: Paths = ()
    """Prefixes that end on a segment border."""
    deny_path_regex: Regex = ""
    """Found anywhere in the normalised path."""
    deny_methods: RouteMethods = ()
