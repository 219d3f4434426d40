"""`basic_auth` and `forward_auth`: who says that a request may pass."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lbg.config.fields import Flag
from lbg.config.passwords import checked_hash, checked_name
from lbg.config.pool_fields import FileName
from lbg.config.problems import shown
from lbg.config.route_fields import FieldName, FieldNames
from lbg.config.section import Section
from lbg.config.template_fields import PathTemplate

# What a quoted string can hold without escapes (RFC 9110 section 5.6.4).
_REALM = re.compile(r"[ !#-\[\]-~]+")


def _realm(value: str) -> str:
    if not _REALM.fullmatch(value):
        raise ValueError(f"expected printable ASCII without quotes and backslashes, got {shown(value)}")
    return value


class BasicAuthConfig(Section):
    """`basic_auth` (RFC 7617): names with hashed passwords, here or in a file of `name:hash` lines."""

    use: Literal["basic_auth"]
    users: Annotated[
        dict[Annotated[str, AfterValidator(checked_name)], Annotated[str, AfterValidator(checked_hash)]],
        Field(repr=False),
    ] = {}
    file: FileName = ""
    realm: Annotated[str, AfterValidator(_realm)] = "restricted"
    keep_authorization: Flag = False
    """Let the backend see the password, too."""
    user_header: FieldName | None = None
    """A request field that tells the backend the name."""


class ForwardAuthConfig(Section):
    """`forward_auth`: another pool says by 2xx that a request may pass; other answers go to the client."""

    use: Literal["forward_auth"]
    pool: str
    path: PathTemplate = "/"
    request_headers: FieldNames = ()
    """Fields it gets; none given is all."""
    response_headers: FieldNames = ()
    """Fields of its answer that go on to the backend."""
