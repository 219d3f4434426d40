"""Which worker controls and which proxies, in every situation of a master's life."""

from dataclasses import dataclass, field

import pytest

from lbg.server.roles import OLDEST, YOUNGEST, Role, assign


@dataclass
class Worker:
    """A worker as the arbiter has it."""

    age: float = 0
    role: Role = Role.PROXY
    slot: int = -1
    generation: int = -1
    keeps_to_its_role: bool = True


@dataclass
class Arbiter:
    """Forks, trims and reloads as gunicorn's does."""

    wanted: int
    generation: int = 0
    workers: list[Worker] = field(default_factory=list)
    ages: int = 0

    def fork(self) -> Worker:
        """Start one worker."""
        self.ages += 1
        worker = Worker(self.ages)
        assign(worker, self.workers, self.generation, self.wanted)
        self.workers.append(worker)
        return worker

    def manage(self) -> "Arbiter":
        """Start what is missing, stop the oldest of what is too much."""
        while len(self.workers) < self.wanted:
            self.fork()
        while len(self.workers) > self.wanted:
            self.workers.remove(min(self.workers, key=lambda worker: worker.age))
        return self

    def reload(self) -> "Arbiter":
        """Start a whole generation, then stop the one before."""
        self.generation += 1
        for _ in range(self.wanted):
            self.fork()
        return self.manage()

    def roles(self) -> list[str]:
        """Return the roles, sorted."""
        return sorted(worker.role for worker in self.workers)

    def control(self) -> Worker:
        """Return the one worker that serves the admin listener."""
        controls = [worker for worker in self.workers if "admin" in worker.role.listeners]
        assert len(controls) == 1
        return controls[0]


def test_the_first_worker_controls_and_the_others_proxy() -> None:
    assert Arbiter(4).manage().roles() == ["control", "proxy", "proxy", "proxy"]


def test_a_single_worker_does_both() -> None:
    assert Arbiter(1).manage().roles() == ["combined"]


def test_one_more_than_a_single_worker_proxies() -> None:
    arbiter = Arbiter(1).manage()
    arbiter.wanted = 2
    assert arbiter.manage().roles() == ["combined", "proxy"]


@pytest.mark.parametrize("wanted", [2, 3, 6])
def test_ttin_adds_a_proxy(wanted: int) -> None:
    arbiter = Arbiter(wanted).manage()
    arbiter.wanted += 1
    assert arbiter.manage().roles().count("control") == 1
    assert arbiter.roles().count("proxy") == wanted


def test_ttou_takes_a_proxy_never_the_control_worker() -> None:
    arbiter = Arbiter(4).manage()
    control = arbiter.control()
    for wanted in (3, 2):
        arbiter.wanted = wanted
        assert arbiter.manage().control() is control


@pytest.mark.parametrize("wanted", [1, 2, 5])
def test_a_control_worker_that_dies_is_replaced_by_one(wanted: int) -> None:
    arbiter = Arbiter(wanted).manage()
    dead = arbiter.control()
    arbiter.workers.remove(dead)
    arbiter.manage()
    assert arbiter.control() is not dead
    assert len(arbiter.workers) == wanted


def test_a_proxy_that_dies_is_replaced_by_a_proxy_in_its_slot() -> None:
    arbiter = Arbiter(3).manage()
    dead = next(worker for worker in arbiter.workers if worker.role is Role.PROXY)
    arbiter.workers.remove(dead)
    replacement = arbiter.fork()
    assert (replacement.role, replacement.slot) == (Role.PROXY, dead.slot)


@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_a_reload_replaces_every_worker_and_the_new_control_worker_stays(wanted: int) -> None:
    arbiter = Arbiter(wanted).manage()
    for _ in range(3):
        before, roles = list(arbiter.workers), arbiter.roles()
        arbiter.reload()
        assert not [
            worker
            for worker in arbiter.workers
            if worker in before and worker.generation != arbiter.generation
        ]
        assert arbiter.control().generation == arbiter.generation
        assert arbiter.roles() == roles


def test_during_a_reload_both_generations_have_a_control_worker() -> None:
    arbiter = Arbiter(3).manage()
    old = arbiter.control()
    arbiter.generation += 1
    new = arbiter.fork()
    assert (new.role, new.age, old.age) == (Role.CONTROL, YOUNGEST, OLDEST)
    assert arbiter.fork().role is Role.PROXY


def test_workers_that_live_at_once_have_slots_of_their_own() -> None:
    arbiter = Arbiter(3).manage()
    arbiter.generation += 1
    for _ in range(3):
        arbiter.fork()
    assert sorted(worker.slot for worker in arbiter.workers) == list(range(6))


def test_slots_of_another_master_are_left_alone() -> None:
    worker = Worker()
    assign(worker, [Worker(slot=1, generation=0, role=Role.CONTROL)], 0, 4, taken=[0, 2])
    assert worker.slot == 3


def test_slots_are_used_again() -> None:
    arbiter = Arbiter(3).manage()
    for _ in range(50):
        arbiter.workers.pop(0)
        arbiter.manage()
    assert {worker.slot for worker in arbiter.workers} == {0, 1, 2}


@pytest.mark.parametrize(
    ("role", "number", "listeners"),
    [(Role.CONTROL, 0, {"admin"}), (Role.PROXY, 1, {"public"}), (Role.COMBINED, 2, {"admin", "public"})],
)
def test_a_role_has_a_number_and_listeners(role: Role, number: int, listeners: set[str]) -> None:
    assert (role.number, set(role.listeners)) == (number, listeners)


def test_a_worker_that_serves_every_listener_proxies_even_where_it_controls() -> None:
    worker = Worker(keeps_to_its_role=False)
    assign(worker, [], 0, 4)
    assert worker.role is Role.COMBINED
