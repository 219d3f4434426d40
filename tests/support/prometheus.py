"""A Prometheus that runs beside a test."""

import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import address as addresses
from tests.support.address import Address
from tests.support.client import fetch


@contextmanager
def prometheus(directory: Path, target: Address, rules: Sequence[Path] = ()) -> Iterator[Address]:
    """Run a Prometheus that scrapes `target`, as the job lbg, and evaluates `rules` every second."""
    directory.mkdir()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": "lbg", "static_configs": [{"targets": [addresses.authority(target)]}]}
        ],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))
    with addresses.bound_socket(("127.0.0.1", 0)) as reserved:
        where = addresses.local_address(reserved)
    program = shutil.which("prometheus")
    assert program
    command = [
        program,
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={addresses.authority(where)}",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield where
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask(where: Address, path: str, **parameters: str) -> Any:
    """Return the data of an answer of the API; AssertionError, so that one can wait, while there is none."""
    try:
        response = fetch(where, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
    except OSError as error:
        raise AssertionError(repr(error)) from error
    assert response.status == 200, response.body
    return json.loads(response.body)["data"]


def query(where: Address, expression: str, moment: float) -> float:
    """Return the only value of an expression; AssertionError while there is none."""
    result = ask(where, "query", query=expression, time=f"{moment:.3f}")["result"]
    assert len(result) == 1, result
    return float(result[0]["value"][1])
