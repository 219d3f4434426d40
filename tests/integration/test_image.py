"""The image: built from the Dockerfile, and run as its own user with nothing but /tmp writable."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support import address as addresses
from tests.support import toml
from tests.support.address import Address
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import NoResponseError, RawClient, fetch
from tests.support.handlers import answer
from tests.support.image import Container, Image, built_image, why_not
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.needs("buildah", "debootstrap", "tar", "unshare"),
    pytest.mark.timeout(600),  # the base is made once for all runs, and that is a download
]
USER = 10001


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if reason := why_not():
        pytest.xfail(reason)
    with built_image(tmp_path_factory.mktemp("image")) as image:
        yield image


class Ports:
    """A public and an admin address that nobody else gets."""

    def __init__(self) -> None:
        self._held = [addresses.bound_socket(("127.0.0.1", 0)) for _ in range(2)]
        self.public, self.admin = map(addresses.local_address, self._held)

    @property
    def variables(self) -> dict[str, str]:
        public, admin = addresses.authority(self.public), addresses.authority(self.admin)
        return {"LBG_SERVER__BIND": public, "LBG_ADMIN__BIND": admin, "LBG_SERVER__WORKERS": "2"}

    def close(self) -> None:
        for held in self._held:
            held.close()


@pytest.fixture
def ports() -> Iterator[Ports]:
    held = Ports()
    yield held
    held.close()


def _config(ports: Ports, *endpoints: str) -> str:
    document: Mapping[str, object] = {
        "server": {"bind": [addresses.authority(ports.public)], "workers": 2},
        "admin": {"bind": addresses.authority(ports.admin)},
        "pools": {"main": {"endpoints": list(endpoints)}},
        "routes": [{"pool": "main"}],
    }
    return toml.dump(document)


def _start(container: Container, ports: Ports) -> None:
    container.start()
    eventually(lambda: _status(ports.admin, "/health/ready") == 200, 20.0, "lbg to be ready")


def _status(address: Address, path: str = "/") -> int:
    try:
        return fetch(address, path).status
    except (OSError, NoResponseError):
        return 0


def _refuses(address: Address) -> bool:
    try:
        addresses.connect(address, timeout=5.0).close()
    except ConnectionRefusedError:
        return True
    return False


def test_it_serves_two_backends_as_its_own_user_and_its_check_passes(
    image: Image, ports: Ports, tmp_path: Path
) -> None:
    with Backend() as one, Backend(answer(body=b"two")) as two:
        with Container(image, tmp_path / "c", config=_config(ports, one.url, two.url)) as container:
            assert not container.healthy()
            _start(container, ports)
            bodies = {fetch(ports.public).body for _ in range(40)}
            assert bodies == {b"ok", b"two"}
            eventually(container.healthy, 30.0, "the check to pass")
            owners = [process.uids() for process in container.processes()]
            assert len(owners) == 4
            assert {uid for owner in owners for uid in owner} == {USER}
            assert "Traceback" not in container.log()


def test_a_stop_finishes_an_open_request(image: Image, ports: Ports, tmp_path: Path) -> None:
    arrived, released = threading.Event(), threading.Event()

    def hold(connection: BackendConnection) -> None:
        connection.read_request()
        arrived.set()
        released.wait(30.0)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld")

    with Backend(hold) as backend:
        with Container(image, tmp_path / "c", config=_config(ports, backend.url)) as container:
            _start(container, ports)
            with RawClient(ports.public, timeout=30.0) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert arrived.wait(10.0)
                container.stop()
                eventually(lambda: _refuses(ports.public), 10.0, "no new connections")
                released.set()
                response = client.read_response()
            assert (response.status, response.body) == (200, b"held")
            assert container.wait() == 0


def test_endpoints_in_the_environment_are_enough(image: Image, ports: Ports, tmp_path: Path) -> None:
    with Backend() as backend:
        variables = ports.variables | {"LBG_ENDPOINTS": backend.url}
        with Container(image, tmp_path / "c", env=variables) as container:
            _start(container, ports)
            assert fetch(ports.public).body == b"ok"
            eventually(container.healthy, 30.0, "the check to pass")


def test_nothing_but_the_temporary_folder_can_be_written(image: Image, tmp_path: Path) -> None:
    folders = "/ /dev/shm /etc/lbg /opt/lbg /run /tmp /var/tmp"
    with Container(image, tmp_path / "c") as container:
        told = container.run("sh", "-c", f"for d in {folders}; do touch $d/x && echo $d; done; id -u")
    assert told.stdout.split() == ["/tmp", str(USER)]


def test_the_user_can_change_no_file_of_lbg_on_a_root_that_can_be_written(image: Image) -> None:
    found = [path for path in (image.root / "opt").rglob("*") if not path.is_symlink()]
    assert found
    assert not [path for path in found if path.stat().st_uid == USER or path.stat().st_mode & 0o002]


def test_the_last_stage_has_no_tools_of_the_build(image: Image) -> None:
    root = image.root
    assert (root / "opt/lbg/bin/lbg").exists()
    assert not [*(root / "opt/lbg/bin").glob("pip*")]
    left = [root / path for path in ("src", "tmp/installer", "root/.cache", "usr/bin/gcc", "usr/bin/make")]
    assert not [path for path in left if path.exists()]


def test_it_says_how_to_run_it(image: Image) -> None:
    config = image.config()
    assert config["User"] == f"{USER}:{USER}"  # a number, for orchestrators that refuse root
    assert (config["Entrypoint"], config["Cmd"]) == (["lbg"], ["run"])
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["ExposedPorts"]) == {"8080/tcp", "9090/tcp"}
