"""`headers`, `query` and `request_id`: what is changed in messages that pass."""

from typing import Annotated, Literal

from lbg.config.fields import Flag, OneOrList
from lbg.config.route_fields import FieldName, FieldNames
from lbg.config.section import Section
from lbg.config.template_fields import RequestField, RequestText, ResponseField


class RequestFieldsConfig(Section):
    """Fields of the request: first `remove`, then `set`, then `add`."""

    set: dict[FieldName, RequestField] = {}
    add: dict[FieldName, RequestField] = {}
    remove: FieldNames = ()


class ResponseFieldsConfig(Section):
    """Fields of the response: first `remove`, then `set`, then `add`."""

    set: dict[FieldName, ResponseField] = {}
    add: dict[FieldName, ResponseField] = {}
    remove: FieldNames = ()


class HeadersConfig(Section):
    """`headers`: rules for header fields."""

    use: Literal["headers"]
    request: RequestFieldsConfig = RequestFieldsConfig()
    response: ResponseFieldsConfig = ResponseFieldsConfig()


class QueryConfig(Section):
    """`query`: rules for query parameters: first `remove`, then `set`, then `add`."""

    use: Literal["query"]
    set: dict[str, RequestText] = {}
    add: dict[str, RequestText] = {}
    remove: Annotated[tuple[str, ...], OneOrList] = ()


class RequestIdConfig(Section):
    """`request_id`: under which name the id travels, and whether the client's own is kept."""

    use: Literal["request_id"]
    header: FieldName = "X-Request-Id"
    accept: Flag = False
    """Keep the id that any client sends, if it is short and visible ASCII."""
    respond: Flag = True
    """Tell the client the id, too."""
