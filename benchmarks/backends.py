"""The two backends all proxies share: nginx serving files, and a sink for uploads."""

import grp
import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benchmarks.program import free_port, running, which

HERE = Path(__file__).parent
SIZES: Mapping[str, int] = {"/1k": 1024, "/64k": 64 * 1024, "/100m": 100 * 1024 * 1024}


@dataclass(frozen=True, slots=True)
class Backends:
    """Where the backends listen, and the file that uploads send."""

    files: int
    sink: int
    upload: Path


@contextmanager
def backends(core: int, directory: Path) -> Iterator[Backends]:
    """Run both backends on one core until the block ends."""
    files_port, sink_port = free_port(), free_port()
    folder = directory / "files"
    folder.mkdir()
    block = os.urandom(1024)
    for name, size in SIZES.items():
        (folder / name[1:]).write_bytes(block * (size // len(block)))
    config = fill_template(HERE / "files_backend.conf", directory, port=files_port)
    sink_directory = directory / "sink"
    sink_directory.mkdir()
    nginx = [which("nginx") or "nginx", "-e", "stderr", "-c", str(config)]
    sink = [sys.executable, str(HERE / "sink.py"), str(sink_port)]
    with running(nginx, core, directory), running(sink, core, sink_directory):
        yield Backends(files_port, sink_port, folder / "100m")


def fill_template(template: Path, directory: Path, **values: object) -> Path:
    """Write the configuration made from a template into the directory; its path is returned."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.getgrgid(os.getegid()).gr_name
    config = directory / template.name
    text = Template(template.read_text()).substitute(values, user=user, group=group, directory=directory)
    config.write_text(text)
    return config
