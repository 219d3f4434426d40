"""The rules between the keys of one pool."""

from collections.abc import Iterator

from lbg.config.pools import HealthConfig, PoolConfig, TlsConfig
from lbg.config.problems import Broken, shown

_LARGEST = 2**24  # bytes of a file that are looked at


def broken_pool_rules(pool: PoolConfig) -> Iterator[Broken]:
    """Yield the place below the pool and the sentence of each rule that it breaks; opens the files of TLS."""
    if all(endpoint.backup for endpoint in pool.endpoints):
        yield ("endpoints",), "every endpoint is a backup, expected at least one that is not"
    if pool.outlier.max_eject < pool.outlier.eject:
        yield (
            ("outlier", "max_eject"),
            f"expected at least the {pool.outlier.eject} of eject, got {pool.outlier.max_eject}",
        )
    yield from _hashing(pool)
    yield from _health(pool.health, [e.url for e in pool.endpoints if e.address.family == "unix"])
    yield from _tls(pool.tls)


def _hashing(pool: PoolConfig) -> Iterator[Broken]:
    fields = PoolConfig.model_fields
    if pool.balance == "hash":
        return
    if pool.hash_bound != fields["hash_bound"].default:
        yield ("hash_bound",), f'only "hash" heeds it, and balance is {shown(pool.balance)}'
    if pool.hash_key != fields["hash_key"].default and ":" not in pool.balance:
        yield (
            ("hash_key",),
            f'only "hash" and policies of your own heed it, and balance is {shown(pool.balance)}',
        )


def _health(health: HealthConfig, sockets: list[str]) -> Iterator[Broken]:
    if sockets and health.port:
        yield ("health", "port"), f"{sockets[0]} has no port, expected 0"
    if health.type != "http":
        return
    if sockets and health.scheme == "https":
        yield ("health", "scheme"), f"{sockets[0]} has no host to verify, expected http"
    if health.expect_body and health.method == "HEAD":
        yield ("health", "expect_body"), "the answer to HEAD has no body, expected another method"


def _tls(tls: TlsConfig) -> Iterator[Broken]:
    if tls.cert and not tls.key:
        yield ("tls", "cert"), "tls.key must be set, too; it may name the same file"
    if tls.key and not tls.cert:
        yield ("tls", "key"), "tls.cert must be set, too"
    for key, name, content in (
        ("ca", tls.ca, "CERTIFICATE"),
        ("cert", tls.cert, "CERTIFICATE"),
        ("key", tls.key, "PRIVATE KEY"),
    ):
        fault = _file_fault(name, content) if name else ""
        if fault:
            yield ("tls", key), fault


def _file_fault(name: str, content: str) -> str:
    """Say why a file cannot be what it should; what is in it beyond its label, TLS finds out later."""
    try:
        with open(name, "rb") as file:
            found = f"{content}-----".encode() in file.read(_LARGEST)
    except OSError as error:
        return f"{name} cannot be read: {(error.strerror or str(error)).lower()}"
    return "" if found else f"{name} holds no {content.lower()} in PEM form"
