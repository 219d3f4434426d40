import pytest

from lbg.demo.supervisor import Backend, Change

URL = "http://127.0.0.1:9002"


class FakeProcess:
    def __init__(self, pid):
        self.pid = pid
        self.returncode = None

    def poll(self):
        return self.returncode

    def kill(self):
        self.returncode = -9

    def wait(self):
        assert self.returncode is not None
        return self.returncode


class Launches:
    """Starts fake processes with the pids 1, 2, …; raises `error` instead while it is set."""

    def __init__(self):
        self.processes = []
        self.error = None

    def __call__(self, name):
        assert name == "backend-2"
        if self.error:
            raise self.error
        self.processes.append(FakeProcess(len(self.processes) + 1))
        return self.processes[-1]

    def die(self, returncode):
        self.processes[-1].returncode = returncode


@pytest.fixture
def launches():
    return Launches()


@pytest.fixture
def backend(launches):
    return Backend("2", URL, launches, restart_after=10.0)


def down(detail):
    return Change(False, "backend-2", URL, detail)


def up(detail):
    return Change(True, "backend-2", URL, detail)


def test_nothing_happens_to_a_backend_that_was_never_started(backend):
    assert backend.look(1000.0) is None
    assert backend.pid is None


def test_a_start_tells_the_pid(backend):
    assert backend.start(0.0) == up("pid 1")
    assert backend.pid == 1
    assert backend.look(5.0) is None


@pytest.mark.parametrize(
    ("returncode", "how"), [(-15, "exited with signal 15"), (1, "exited with status 1")], ids=str
)
def test_a_death_is_told_once(backend, launches, returncode, how):
    backend.start(0.0)
    launches.die(returncode)
    assert backend.look(5.0) == down(f"{how}; starts again in 10 s")
    assert backend.look(5.1) is None
    assert backend.pid is None


def test_a_dead_backend_starts_again_after_the_delay(backend, launches):
    backend.start(0.0)
    launches.die(-9)
    backend.look(5.0)
    assert backend.look(14.9) is None
    assert backend.look(15.0) == up("pid 2")


def test_the_key_starts_a_dead_backend_at_once(backend, launches):
    backend.start(0.0)
    launches.die(-9)
    backend.look(5.0)
    assert backend.toggle(6.0) is None
    assert backend.look(6.0) == up("pid 2")
    assert backend.look(15.0) is None


def test_the_key_stops_a_running_backend_until_it_is_pressed_again(backend, launches):
    backend.start(0.0)
    assert backend.toggle(1.0) == down("stopped; press 2 to start it")
    assert launches.processes[0].returncode == -9
    assert backend.look(1000.0) is None
    backend.toggle(1001.0)
    assert backend.look(1001.0) == up("pid 2")


def test_a_start_that_fails_is_told_and_tried_again(backend, launches):
    launches.error = OSError(98, "Address already in use")
    assert backend.start(0.0) == down("cannot be started: Address already in use; starts again in 10 s")
    assert backend.look(9.9) is None
    launches.error = None
    assert backend.look(10.0) == up("pid 1")


def test_kill_ends_the_process_and_keeps_it_ended(backend, launches):
    backend.start(0.0)
    backend.kill()
    backend.kill()
    assert launches.processes[0].returncode == -9
    assert backend.look(1000.0) is None


def test_repr_shows_the_state(backend):
    backend.start(0.0)
    assert repr(backend) == f"<Backend backend-2 {URL} pid=1 start_at=None>"
