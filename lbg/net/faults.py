"""Failures of socket calls that are this machine's own doing, not the peer's."""

import errno
from typing import Final

OWN_FAULTS: Final = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,  # no port left to connect from
        errno.EPERM,  # a local firewall
    }
)
