"""`mirror`: copies of requests for another pool."""

from typing import Annotated, Literal

from pydantic import Field

from lbg.config.fields import PositiveCount, Seconds
from lbg.config.section import Section


class MirrorConfig(Section):
    """`mirror`: a copy of a share of the requests goes to another pool; nobody waits for it."""

    use: Literal["mirror"]
    pool: str
    share: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)] = 1.0
    max_body: Annotated[int, Field(strict=True, ge=0, le=2**24)] = 65_536
    """Larger bodies are not mirrored."""
    max_pending: PositiveCount = 100
    """Copies under way in a worker; more are left out."""
    timeout: Seconds = 10.0
