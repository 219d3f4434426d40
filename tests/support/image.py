"""The image of the Dockerfile, built and run without a container engine, a registry or Docker."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

ROOT = Path(__file__).resolve().parents[2]
STORE = Path(tempfile.gettempdir()) / f"lbg-test-images-{os.geteuid()}"
BASE = "localhost/lbg-test-base"
PACKAGES = "python3,python3-venv"
LEFT_OUT = (
    "proc",
    "sys",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
)
AUTHORITIES = "/run/authorities.crt"
BUILD_TIMEOUT = 600.0
STOP_TIMEOUT = 20.0

# Bind mounts and buildah's own files need places that are there already when nothing can be written.
PLACES = ("etc/hosts", "etc/hostname", "etc/resolv.conf")
# In a mount namespace of its own: the root of the container cannot be written, nor can /dev/shm, which
# buildah shares with us. /run is root's, who alone may write there, because buildah leaves a file in it.
READ_ONLY = """
set -e
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mount -t tmpfs -o ro tmpfs /dev/shm
shift
exec "$@"
"""


def why_not() -> str:
    """Return why this machine cannot build images, nothing when it can."""
    if os.geteuid() != 0:
        return "making a root file system needs root"
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", tempfile.gettempdir()]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "this machine lets us mount nothing, and no package changes that"
    return ""


@contextmanager
def built_image(directory: Path) -> Iterator[Image]:
    """Give the image of the tree, built on a base that is made once and kept for later runs."""
    with _store_for_ourselves():
        if not _base_exists():
            _make_base(directory)
    image = Image(f"localhost/lbg-test-{os.getpid()}")
    try:
        image.build(directory)
        yield image
    finally:
        image.remove()


class Image:
    """An image in the tests' own store, and one container of it, whose files are below `root`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.container = ""
        self.root = Path()

    def __repr__(self) -> str:
        """Show its name."""
        return f"<Image {self.name}>"

    def build(self, directory: Path) -> None:
        """Build it as the Dockerfile says, with pip's settings of this machine."""
        settings = directory / "pip.conf"
        settings.touch(mode=0o600)  # an index may have a password
        authorities = _pip_settings(settings)
        _run(
            *_buildah("bud"),
            "--isolation=chroot",
            "--format=docker",
            f"--build-arg=BASE={BASE}",
            f"--secret=id=pip.conf,src={settings}",
            f"--volume={authorities}:{AUTHORITIES}:ro",
            f"--tag={self.name}",
            str(ROOT),
        )
        # One for all that runs, because each is a copy of the whole tree and none can change it.
        self.container = _run(*_buildah("from"), self.name).strip()
        self.root = Path(_run(*_buildah("mount"), self.container).strip())
        for place in PLACES:
            (self.root / place).touch()

    def remove(self) -> None:
        """Remove what there is of it."""
        for verb, name in (("rm", self.container), ("rmi", self.name)):
            subprocess.run([*_buildah(verb), name], capture_output=True, check=False)

    def config(self) -> dict[str, Any]:
        """Return what the image says of itself."""
        told = json.loads(_run(*_buildah("inspect"), "--type=image", self.name))
        config: dict[str, Any] = told["Docker"]["config"]
        return config


class Container:
    """A run of an image whose root cannot be written: its /tmp and /etc/lbg are in `directory`.

    `config` is its lbg.toml; without one it has none. What runs ends with the `with` block.
    """

    def __init__(
        self, image: Image, directory: Path, *, config: str = "", env: Mapping[str, str] | None = None
    ) -> None:
        self.image = image
        self.directory = directory
        self.log_path = directory / "container.log"
        self._env = dict(env or {})
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        """Show the image and what runs."""
        return f"<Container of {self.image.name} pid={self._process and self._process.pid}>"

    def log(self) -> str:
        """Return everything its command has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        """Run the image's own command."""
        config = self.image.config()
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                self._command([*config["Entrypoint"], *config["Cmd"]]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *command: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run another command beside its own, as `docker exec` does."""
        return subprocess.run(
            self._command(command), capture_output=True, text=True, timeout=timeout, check=False
        )

    def healthy(self) -> bool:
        """Return whether the image's HEALTHCHECK passes, in its time."""
        check = self.image.config()["Healthcheck"]
        kind, *command = check["Test"]
        assert kind == "CMD"
        try:
            return self.run(*command, timeout=check["Timeout"] / 1e9).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def processes(self) -> list[psutil.Process]:
        """Return the processes of its command, the master first."""
        assert self._process
        running = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "gunicorn" in process.cmdline():
                    running.append(process)
        return running

    def stop(self) -> None:
        """Ask the master to stop, with the signal of the image, as `docker stop` does."""
        self.processes()[0].send_signal(signal.Signals[self.image.config()["StopSignal"]])

    def wait(self) -> int:
        """Wait until its command ends and return the exit status."""
        assert self._process
        return self._process.wait(STOP_TIMEOUT)

    def __enter__(self) -> Self:
        """Make its folders; nothing runs yet."""
        for name, mode in (("tmp", 0o1777), ("etc", 0o755)):
            (self.directory / name).mkdir(parents=True)
            (self.directory / name).chmod(mode)
        if self._config:
            (self.directory / "etc" / "lbg.toml").write_text(self._config)
            (self.directory / "etc" / "lbg.toml").chmod(0o644)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what runs."""
        if self._process and self._process.poll() is None:
            for process in self.processes():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if error is not None:
            print(f"--- log of {self!r}\n{self.log()[-20000:]}", file=sys.stderr)

    def _command(self, command: Sequence[str]) -> list[str]:
        """Return what runs a command of the container in its namespace."""
        return [
            *("unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(self.image.root)),
            *_buildah("run"),
            "--isolation=chroot",
            f"--volume={self.directory / 'etc'}:/etc/lbg:ro",
            f"--volume={self.directory / 'tmp'}:/tmp",
            *(f"--env={name}={value}" for name, value in self._env.items()),
            self.image.container,
            *command,
        ]


def _buildah(verb: str) -> list[str]:
    # vfs copies whole trees, but needs nothing of the kernel, and no mount is left behind.
    return ["buildah", f"--root={STORE}/root", f"--runroot={STORE}/run", "--storage-driver=vfs", verb]


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
    return ended.stdout


@contextmanager
def _store_for_ourselves() -> Iterator[None]:
    """Let one process at a time look for the base and make it."""
    STORE.mkdir(mode=0o700, exist_ok=True)
    status = STORE.lstat()
    assert stat.S_ISDIR(status.st_mode), STORE
    assert status.st_uid == os.geteuid(), STORE  # no stranger gives us what root is going to run
    with (STORE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _base_exists() -> bool:
    found = subprocess.run([*_buildah("inspect"), "--type=image", BASE], capture_output=True, check=False)
    return found.returncode == 0


def _make_base(directory: Path) -> None:
    """Make the smallest Debian with Python from the mirror of this machine, as an image."""
    tree, archive = directory / "base", directory / "base.tar"
    mirror, release = _mirror()
    # In a mount namespace, what debootstrap mounts in the tree ends with it, also when it is killed.
    _run(
        *("unshare", "-m", "debootstrap", "--variant=minbase", f"--include={PACKAGES}"),
        *(release, str(tree), mirror),
    )
    left_out = [f"--exclude=./{path}/*" for path in LEFT_OUT]
    _run("tar", "-C", str(tree), *left_out, "-cf", str(archive), ".")
    container = _run(*_buildah("from"), "scratch").strip()
    _run(*_buildah("add"), container, str(archive), "/")
    _run(*_buildah("commit"), "--rm", container, BASE)
    archive.unlink()
    _run("rm", "-rf", "--one-file-system", str(tree))


def _mirror() -> tuple[str, str]:
    """Return the address and the release that apt is configured with."""
    form = "$(REPO_URI) $(CODENAME) $(COMPONENT)"
    for line in _run("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines():
        mirror, release, component = line.split()
        if component == "main" and "-" not in release:
            return mirror, release
    raise AssertionError("apt is configured with no mirror")


def _pip_settings(path: Path) -> Path:
    """Write what pip needs to reach its index from within the build; return the certificates it trusts.

    Directories of this machine are no use there.
    """
    lines = _run(sys.executable, "-m", "pip", "config", "list").splitlines()
    settings = {name.rpartition(".")[2]: ast.literal_eval(value) for name, _, value in _pairs(lines)}
    kept = {
        name: settings[name] for name in ("index-url", "proxy", "timeout", "trusted-host") if name in settings
    }
    extra = [url for url in settings.get("extra-index-url", "").split() if not url.startswith("file:")]
    if extra:
        kept["extra-index-url"] = " ".join(extra)
    kept["cert"] = AUTHORITIES
    path.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in kept.items()))
    ours = settings.get("cert") or ssl.get_default_verify_paths().cafile
    return Path(ours or "/etc/ssl/certs/ca-certificates.crt")


def _pairs(lines: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    return (line.partition("=") for line in lines if "=" in line)
