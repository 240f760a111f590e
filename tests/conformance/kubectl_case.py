"""What the tests share that drive kubectl, command by command. See README.md for which file covers what."""
import json
import os
import pathlib
import re
import select
import subprocess
import tempfile
import time

from harness import tools
from harness.case import ClusterCase

AMOUNTS = {"cpu": "4", "memory": "8Gi", "pods": "20"}


class KubectlCase(ClusterCase):
    """kubectl in the namespace of the test, against a daemon without a node unless the class says otherwise."""

    with_node = False

    def setUp(self):
        super().setUp()
        self.unread = {}  # what was read of children's output and not used yet, by process id

    def bare(self, *args, input=None, env=None, timeout=60, cwd=None) -> subprocess.CompletedProcess:
        """Without the namespace of the test; however it ends."""
        return subprocess.run([tools.kubectl(), *args], input=input, capture_output=True, text=True, timeout=timeout,
                              cwd=cwd, env=dict(self.daemon.environment(), **(env or {})))

    def run_kubectl(self, *args, **kwargs) -> subprocess.CompletedProcess:
        """However it ends."""
        return self.bare("-n", self.ns, *args, **kwargs)

    def kubectl(self, *args, **kwargs) -> str:
        """What it prints on stdout; it must succeed."""
        done = self.run_kubectl(*args, **kwargs)
        self.assertEqual(done.returncode, 0, (args, done.stderr[-2000:], done.stdout[-500:]))
        return done.stdout

    def fails(self, *args, code: int = 1, **kwargs) -> str:
        """What it prints on stderr; it must end with `code`."""
        done = self.run_kubectl(*args, **kwargs)
        self.assertEqual(done.returncode, code, (args, done.stderr[-2000:], done.stdout[-500:]))
        return done.stderr

    def both(self, *args, **kwargs) -> tuple:
        """(stdout, stderr) of a kubectl that must succeed."""
        done = self.run_kubectl(*args, **kwargs)
        self.assertEqual(done.returncode, 0, (args, done.stderr[-2000:], done.stdout[-500:]))
        return done.stdout, done.stderr

    def json(self, *args, **kwargs) -> dict:
        return json.loads(self.kubectl(*args, "-o", "json", **kwargs))

    def value(self, what: str, path: str) -> str:
        return self.kubectl("get", what, "-o", f"jsonpath={{{path}}}")

    def create(self, *objects: dict) -> None:
        self.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def start(self, *args, env=None, **kwargs) -> subprocess.Popen:
        """A kubectl that goes on until the test is over."""
        child = subprocess.Popen([tools.kubectl(), "-n", self.ns, *args], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True,
                                 env=dict(self.daemon.environment(), **(env or {})), **kwargs)
        self.addCleanup(self.end, child)
        return child

    @staticmethod
    def end(child: subprocess.Popen) -> None:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                stream.close()

    def line(self, child: subprocess.Popen, timeout: float = 20) -> str:
        """The next line that it prints."""
        rest = self.unread.pop(child.pid, b"")
        deadline = time.monotonic() + timeout
        while b"\n" not in rest:
            ready = select.select([child.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            self.assertTrue(ready, f"nothing more was printed than {rest}")
            piece = os.read(child.stdout.fileno(), 65536)
            if not piece:
                break
            rest += piece
        line, newline, self.unread[child.pid] = rest.partition(b"\n")
        return (line + newline).decode()

    def finished(self, child: subprocess.Popen, timeout: float = 60) -> str:
        """Waits until it ends well; its remaining stdout."""
        out, errors = child.communicate(timeout=timeout)
        self.assertEqual(child.returncode, 0, out + errors)
        return out

    def requests(self, *args, **kwargs) -> list:
        """What kubectl asked the server for: [(method, path with query, request body's type)]."""
        done = self.run_kubectl("-v=8", *args, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        found = []
        for match in re.finditer(r'"Request" verb="(\w+)" url="https?://[^/"]+([^"]*)"(?: headers=<(.*?)\n >)?',
                                 done.stderr, re.S):
            kind = re.search(r"Content-Type: (\S+)", match.group(3) or "")
            found.append((match.group(1), match.group(2), kind.group(1) if kind else ""))
        return found

    def folder(self) -> pathlib.Path:
        return pathlib.Path(tempfile.mkdtemp(dir=self.daemon.folder))

    def file(self, name: str, content) -> str:
        path = self.folder() / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def editor(self, script: str) -> dict:
        """Environment with an editor that runs `script` on the file ($1), and a place for the files that kubectl leaves."""
        folder = self.folder()
        path = folder / "editor"
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)
        return {"KUBE_EDITOR": str(path), "TMPDIR": str(folder)}

    def make_node(self, name: str, **metadata) -> None:
        """A node made by hand, for the scheduler and for commands about nodes."""
        self.api.create("nodes", "", {"metadata": {"name": name, **metadata}, "status": {
            "capacity": AMOUNTS, "allocatable": AMOUNTS, "conditions": [{"type": "Ready", "status": "True"}]}})
        self.addCleanup(self.api.delete_if_there, "nodes", "", name)

    def config_map(self, name: str = "map", data=None, **metadata) -> dict:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata},
                "data": data or {"a": "1"}}

    def deployment(self, name: str = "web", replicas: int = 1, image: str = "nginx:1", **spec) -> dict:
        labels = {"app": name}
        pod = {"containers": [{"name": "main", "image": image, "ports": [{"name": "http", "containerPort": 80}]}]}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                         "template": {"metadata": {"labels": labels}, "spec": pod}, **spec}}

    def pod(self, name: str, labels=None, **spec) -> dict:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "nginx:1"}], **spec}}

    def in_the_kubelets_place(self) -> None:
        """Every bound pod of the namespace runs and is ready: for controllers that wait for pods."""
        for pod in self.api.list("pods", self.ns):
            if (pod["spec"].get("nodeName") and pod["status"].get("phase") == "Pending"
                    and "deletionTimestamp" not in pod["metadata"]):
                self.api.patch("pods", self.ns, pod["metadata"]["name"], {"status": {
                    "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}, sub="status")


def lines(text: str) -> list:
    return text.splitlines()


def words(text: str) -> list:
    """The first words of all lines: names of a table."""
    return [line.split()[0] for line in text.splitlines() if line.strip()]


__all__ = ["KubectlCase", "lines", "words"]
