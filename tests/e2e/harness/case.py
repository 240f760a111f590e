"""Base classes of the tests: one daemon per class, one namespace per test."""
import os
import re
import subprocess
import time
import unittest

from . import tools
from .api import ApiError, container_status, pod_ready
from .daemon import Daemon

BIN = os.environ.get("MOTH_BIN", "")
FULL = os.environ.get("MOTH_E2E_FULL") == "1"


def why_no_node() -> str:
    if os.geteuid() != 0:
        return "needs root"
    if not os.access(os.path.join(BIN, "moth-shim"), os.X_OK):
        return f"{BIN}/moth-shim is not built"
    return ""


def need_moth(test):
    there = os.access(os.path.join(BIN, "moth"), os.X_OK)
    return unittest.skipUnless(there, "the moth command is not built")(test)


class ClusterCase(unittest.TestCase):
    """A running daemon with a node and the image of the tests. `alone`: no other test runs meanwhile."""

    alone = False
    with_node = True
    node_ports = ""
    images = (tools.IMAGE,)
    daemon_args = ()

    @classmethod
    def setUpClass(cls):
        if cls.with_node and why_no_node():
            raise unittest.SkipTest(why_no_node())
        cls.daemon = Daemon(BIN, cls.with_node, cls.node_ports, cls.daemon_args)
        try:
            cls.daemon.start()
            if cls.with_node:
                for image in cls.images:
                    cls.daemon.load_image(image)
        except BaseException:
            cls.daemon.destroy()
            raise

    @classmethod
    def tearDownClass(cls):
        left = cls.daemon.destroy()
        if left:
            text = "\n".join(f"  {what}: {len(found)}: " + "\n    ".join(map(str, found[:15]))
                             for what, found in left.items())
            raise AssertionError("left behind on the machine:\n" + text)

    @property
    def api(self):
        return self.daemon.api

    def setUp(self):
        self.daemon.start_again_if_dead()
        self.addCleanup(self._fail_if_dead)
        name = re.sub(r"[^a-z0-9]+", "-", self._testMethodName.replace("test_", "").lower()).strip("-")[:50]
        self.ns = name
        self.api.create("namespaces", "", {"metadata": {"name": self.ns}})
        self.api.wait("serviceaccounts", self.ns, "default", bool, 10, "made by its controller")
        self.addCleanup(self._remove_namespace)

    def note(self, *words) -> None:
        """A number worth seeing although the test passed."""
        self.notes = getattr(self, "notes", []) + [" ".join(map(str, words))]

    def _fail_if_dead(self):
        if self.daemon.died:
            self.fail(f"mothd died: {self.daemon.died}")

    def _remove_namespace(self):
        if self.daemon.died:
            return
        self.api.delete_if_there("namespaces", "", self.ns)
        for pod in self.api.list("pods", self.ns):
            self.api.delete_if_there("pods", self.ns, pod["metadata"]["name"], grace=0)

    # What most tests make.

    def pod_body(self, name: str, command=None, **spec) -> dict:
        container = {"name": "main", "image": tools.IMAGE}
        if isinstance(command, str):
            container["command"] = ["/bin/sh", "-c", command]
        elif command:
            container["command"] = command
        container.update(spec.pop("container", {}))
        body = {"metadata": {"name": name, "labels": spec.pop("labels", {"app": name}),
                             "annotations": spec.pop("annotations", {})},
                "spec": {"containers": [container] + spec.pop("more_containers", []),
                         "terminationGracePeriodSeconds": 2, **spec}}
        return body

    def make_pod(self, name: str, command=None, **spec) -> dict:
        return self.api.create("pods", self.ns, self.pod_body(name, command, **spec))

    def run_pod(self, name: str, command=None, timeout: float = 30, **spec) -> dict:
        """Makes a pod and waits until it is ready."""
        self.make_pod(name, command, **spec)
        return self.wait_ready(name, timeout)

    def wait_ready(self, name: str, timeout: float = 30) -> dict:
        return self.api.wait("pods", self.ns, name, pod_ready, timeout, "ready")

    def wait_pod(self, name: str, condition, timeout: float = 30, what: str = "") -> dict:
        return self.api.wait("pods", self.ns, name, condition, timeout, what)

    def wait_phase(self, name: str, phase: str, timeout: float = 30) -> dict:
        return self.wait_pod(name, lambda pod: pod and pod["status"].get("phase") == phase, timeout,
                             f"in phase {phase}")

    def wait_gone(self, resource: str, name: str, timeout: float = 30) -> None:
        self.api.wait(resource, self.ns, name, lambda item: item is None, timeout, "gone")

    def output_of(self, name: str, command, timeout: float = 30, **spec) -> str:
        """What a pod prints that runs once and succeeds."""
        self.make_pod(name, command, restartPolicy="Never", **spec)
        pod = self.wait_pod(name, lambda p: p and p["status"].get("phase") in ("Succeeded", "Failed"), timeout,
                            "finished")
        text = self.api.log(self.ns, name, container="main")
        self.assertEqual(pod["status"]["phase"], "Succeeded", text)
        return text

    def exec(self, pod: str, *command, check: bool = True, container: str = "main"):
        return self.daemon.kubectl("exec", "-n", self.ns, pod, "-c", container, "--", *command, check=check)

    def deployment_body(self, name: str, replicas: int = 1, command=None, container=None, labels=None,
                        pod=None, **spec) -> dict:
        labels = labels or {"app": name}
        template = {"containers": [{"name": "main", "image": tools.IMAGE, **(container or {})}],
                    "terminationGracePeriodSeconds": 5, **(pod or {})}
        if command:
            template["containers"][0]["command"] = ["/bin/sh", "-c", command]
        return {"metadata": {"name": name},
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                         "template": {"metadata": {"labels": labels}, "spec": template}, **spec}}

    def web_deployment(self, name: str, replicas: int = 1, container=None, **spec) -> dict:
        web = {"ports": [{"name": "http", "containerPort": 8080}],
               "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
               **(container or {})}
        return self.api.create("deployments", self.ns, self.deployment_body(name, replicas, container=web, **spec))

    def wait_deployment(self, name: str, timeout: float = 60) -> dict:
        def done(item):
            if not item:
                return False
            status, wanted = item.get("status") or {}, item["spec"]["replicas"]
            return (status.get("observedGeneration", 0) >= item["metadata"]["generation"]
                    and status.get("updatedReplicas", 0) == wanted and status.get("replicas", 0) == wanted
                    and status.get("availableReplicas", 0) == wanted)
        return self.api.wait("deployments", self.ns, name, done, timeout, "rolled out")

    def make_service(self, name: str, selector=None, port: int = 80, target="http", **spec) -> dict:
        body = {"metadata": {"name": name},
                "spec": {"selector": selector or {"app": name},
                         "ports": spec.pop("ports", [{"port": port, "targetPort": target}]), **spec}}
        return self.api.create("services", self.ns, body)

    def wait_endpoints(self, service: str, count: int, timeout: float = 30) -> list:
        """Waits until the service's slices hold so many ready addresses; gives them."""
        def addresses(slices):
            return sorted({address for item in slices for endpoint in item.get("endpoints") or []
                           if endpoint.get("conditions", {}).get("ready") for address in endpoint["addresses"]})
        found = self.api.wait_list("endpointslices", self.ns, lambda items: len(addresses(items)) == count, timeout,
                                   f"kubernetes.io/service-name={service}", f"with {count} ready addresses")
        return addresses(found)

    def wait_answer(self, url: str, timeout: float = 10) -> str:
        """The first answer behind an address: rules follow their endpoints with a short delay, and no
        object tells when."""
        last = []

        def answer():
            try:
                return http(url, 2)
            except OSError as error:
                last[:] = [error]
                return ""
        found = eventually(answer, timeout)
        self.assertTrue(found, f"{url}: {last}")
        return found

    def http(self, url: str, timeout: float = 5, **headers) -> str:
        return http(url, timeout, **headers)

    def events_of(self, name: str) -> list:
        return self.api.list("events", self.ns, fields=f"involvedObject.name={name}")

    def wait_event(self, name: str, reason: str, timeout: float = 30, text: str = "") -> dict:
        def match(item):
            return (item["involvedObject"].get("name") == name and item.get("reason") == reason
                    and text in item.get("message", ""))
        found = self.api.wait_list("events", self.ns, lambda items: any(map(match, items)), timeout,
                                   what=f"an event {reason} {text!r} of {name}")
        return next(filter(match, found))

    def refused(self, code: int, call, *args, **kwargs) -> ApiError:
        with self.assertRaises(ApiError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception


def http(url: str, timeout: float = 5, **headers) -> str:
    import urllib.request
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as response:
        return response.read().decode()


def eventually(check, timeout: float = 10, every: float = 0.05):
    """For what the kernel or a program shows without any event: asks until check() is true."""
    deadline = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() >= deadline:
            return found
        time.sleep(every)


def run(*command, timeout: float = 60, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **kwargs)


__all__ = ["ClusterCase", "FULL", "container_status", "eventually", "http", "need_moth", "run"]
