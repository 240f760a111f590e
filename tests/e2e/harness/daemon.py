"""A mothd of the test's own: instance name, folders, address ranges and ports that nobody else uses."""
import fcntl
import http.client
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import time

from . import tools
from .api import Api
from .leaks import Footprint

SLOTS = 60
SLOT_FOLDER = pathlib.Path("/tmp/moth-e2e-slots")


class Slot:
    """A number that no other test process on this machine has at this time."""

    def __init__(self):
        SLOT_FOLDER.mkdir(mode=0o700, exist_ok=True)
        for number in range(SLOTS):
            file = open(SLOT_FOLDER / str(number), "w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                continue
            self.number, self.file = number, file
            return
        raise RuntimeError(f"all {SLOTS} test slots are taken")

    def release(self) -> None:
        self.file.close()


class Daemon:
    def __init__(self, bin_dir: str, with_node: bool = True, node_ports: str = "", args=()):
        self.slot = Slot()
        number = self.slot.number
        self.bin_dir = bin_dir
        self.with_node = with_node
        self.instance = f"e2e{number}"
        self.folder = tempfile.mkdtemp(prefix=f"moth-{self.instance}-")
        self.data_dir = self.folder + "/data"
        self.run_dir = f"/run/moth/{self.instance}"
        self.log_path = self.folder + "/mothd.log"
        self.port = 26000 + number
        self.node_port_first = 20000 + 100 * number
        self.pod_cidr = f"10.90.{number * 4}.0/22"
        self.service_cidr = f"10.91.{number * 4}.0/22"
        self.node_ports = node_ports or f"{self.node_port_first}-{self.node_port_first + 99}"
        self.extra_args = list(args)
        self.footprint = Footprint(self.instance, self.data_dir, self.run_dir, self.pod_cidr, self.service_cidr)
        self.process = None
        self.stopped = False  # by the test
        self._api = None
        left = self.footprint.everything()
        if left:
            # A run that was cut off; the slot's lock says that nobody uses it.
            self.footprint.remove_by_force()

    @property
    def kubeconfig(self) -> str:
        return self.data_dir + "/admin.kubeconfig"

    @property
    def api(self) -> Api:
        if self._api is None:
            self._api = Api(self.kubeconfig)
        return self._api

    def command(self, *more) -> list:
        command = [os.path.join(self.bin_dir, "mothd"), "--instance", self.instance, "--data-dir", self.data_dir,
                   "--run-dir", self.run_dir, "--listen", f"127.0.0.1:{self.port}", "--pod-cidr", self.pod_cidr,
                   "--service-cidr", self.service_cidr, "--node-port-range", self.node_ports,
                   "--node-name", "moth-test"]
        if not self.with_node:
            command.append("--without-node")
        return command + self.extra_args + list(more)

    def spawn(self) -> float:
        """Starts the process and returns the time (monotonic) of its start."""
        with open(self.log_path, "ab") as log:
            started = time.monotonic()
            self.stopped = False
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        return started

    def start(self, timeout: float = 30) -> float:
        """Starts and waits for /readyz; gives the seconds that it took from exec."""
        started = self.spawn()
        return self.wait_ready(started, timeout)

    def wait_ready(self, started: float, timeout: float = 30) -> float:
        # Nothing can be waited for before the socket is there, so this asks every few milliseconds.
        context = ssl._create_unverified_context()
        while time.monotonic() < started + timeout:
            if self.process.poll() is not None:
                raise AssertionError(f"mothd ended with {self.process.returncode}:\n{self.log_tail()}")
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=2, context=context)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return time.monotonic() - started
            except OSError:
                pass
            except http.client.HTTPException:
                pass
            finally:
                connection.close()
            time.sleep(0.003)
        raise AssertionError(f"mothd was not ready after {timeout} s:\n{self.log_tail()}")

    @property
    def died(self) -> str:
        """How the process ended although nobody asked it to; empty while it runs."""
        if self.process is None or self.process.poll() is None or self.stopped:
            return ""
        code = self.process.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def start_again_if_dead(self) -> None:
        if self.process.poll() is not None:
            self._api = None
            self.start()

    def kill9(self) -> None:
        self.stopped = True
        self.process.kill()
        self.process.wait()
        if self._api:
            self._api.close()

    def terminate(self, timeout: float = 20) -> int:
        """SIGTERM: the daemon leaves, the containers stay."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.stopped = True
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"mothd did not end within {timeout} s of SIGTERM:\n{self.log_tail()}")
        if self._api:
            self._api.close()
        return code

    def stop_workloads(self, timeout: float = 90) -> subprocess.CompletedProcess:
        with open(self.log_path, "ab") as log:
            return subprocess.run(self.command("--stop-workloads"), stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, timeout=timeout)

    def log_tail(self, lines: int = 40) -> str:
        try:
            return "".join(open(self.log_path, encoding="utf-8", errors="replace").readlines()[-lines:])
        except OSError:
            return "(no log)"

    def load_image(self, name: str = tools.IMAGE) -> None:
        self.api.image_job("load", {"path": tools.image_archive(name)})

    def environment(self) -> dict:
        environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
        environment.update(KUBECONFIG=self.kubeconfig, HOME=self.folder, NO_COLOR="1")
        return environment

    def kubectl(self, *args, input: str = None, check: bool = True, timeout: float = 60, cwd: str = None):
        return self._run([tools.kubectl(), *args], input, check, timeout, cwd)

    def moth(self, *args, input: str = None, check: bool = True, timeout: float = 60, cwd: str = None):
        return self._run([os.path.join(self.bin_dir, "moth"), *args], input, check, timeout, cwd)

    def _run(self, command, input, check, timeout, cwd):
        done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=timeout, cwd=cwd,
                              env=self.environment())
        if check and done.returncode != 0:
            shown = " ".join([os.path.basename(command[0])] + list(command[1:]))
            raise AssertionError(f"`{shown}` ended with {done.returncode}: {done.stderr.strip()[-2000:]} "
                                 f"{done.stdout.strip()[-500:]}")
        return done

    def popen_kubectl(self, *args, **kwargs) -> subprocess.Popen:
        return subprocess.Popen([tools.kubectl(), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment(), **kwargs)

    def destroy(self) -> dict:
        """Stops everything and gives what was left behind (then removed by force)."""
        left = {"mothd": [self.died]} if self.died else {}
        try:
            try:
                self.terminate()
            except AssertionError as error:
                left["daemon"] = [str(error)]
            if self.with_node and self.process is not None and os.path.isdir(self.data_dir):
                try:
                    stopped = self.stop_workloads()
                    if stopped.returncode != 0:
                        left["--stop-workloads"] = [f"exit code {stopped.returncode}"]
                except subprocess.TimeoutExpired:
                    left["--stop-workloads"] = ["did not end"]
            left.update(self.footprint.everything())
        finally:
            if left:
                left["log"] = self.log_tail(15).splitlines()
                keep = os.environ.get("MOTH_E2E_KEEP_LOGS")
                if keep:
                    os.makedirs(keep, exist_ok=True)
                    shutil.copy(self.log_path, f"{keep}/{self.instance}-{os.getpid()}-{int(time.time())}.log")
                self.footprint.remove_by_force()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.slot.release()
        return left
