"""What a process and all its descendants have used: CPU time and memory, read from /proc."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICK = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of /proc/PID/stat; `ticks` includes the children the process has reaped."""

    pid: int
    parent: int
    ticks: int
    started: int

    @classmethod
    def read(cls, pid: int) -> "Stat | None":
        """None when the process is gone."""
        try:
            line = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The name, in parentheses, may hold spaces: count the fields from its end (proc(5), field 3 on).
        fields = line.rpartition(")")[2].split()
        return cls(pid, int(fields[1]), sum(map(int, fields[11:15])), int(fields[19]))


def tree(root: int) -> list[Stat]:
    """The live processes of the tree, the root first."""
    children: dict[int, list[Stat]] = {}
    for stat in _all_processes():
        children.setdefault(stat.parent, []).append(stat)
    top = Stat.read(root)
    found = [top] if top else []
    for stat in found:
        found.extend(children.get(stat.pid, ()))
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the whole tree since it began."""
    return sum(stat.ticks for stat in tree(root)) * TICK


def memory_bytes(root: int) -> int:
    """Proportional set size of the whole tree: a page shared by two of its processes counts once."""
    return sum(_pss(stat.pid) for stat in tree(root))


def _all_processes() -> Iterator[Stat]:
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := Stat.read(int(name))):
            yield stat


def _pss(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024
