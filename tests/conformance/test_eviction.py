"""cordon, drain and taint with real kubectl, and what PodDisruptionBudgets say to it. Nodes are made by hand."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import unittest

from harness.case import ClusterCase, eventually
from harness.daemon import Daemon
from harness.case import BIN

AMOUNTS = {"cpu": "4", "memory": "8Gi", "pods": "20"}


class Eviction(ClusterCase):
    with_node = False

    def setUp(self):
        super().setUp()
        for name in ("n1", "n2"):
            self.api.create("nodes", "", {"metadata": {"name": name}, "status": {
                "capacity": AMOUNTS, "allocatable": AMOUNTS, "conditions": [{"type": "Ready", "status": "True"}]}})
            self.addCleanup(self.api.delete_if_there, "nodes", "", name)

    def kubectl(self, *args, **kwargs):
        return self.daemon.kubectl("-n", self.ns, *args, **kwargs)

    def pods(self) -> list:
        return [pod for pod in self.api.list("pods", self.ns) if "deletionTimestamp" not in pod["metadata"]]

    def make_ready(self) -> None:
        """In a kubelet's place: every bound pod runs and is ready."""
        for pod in self.pods():
            if not pod["spec"].get("nodeName"):
                continue
            self.api.patch("pods", self.ns, pod["metadata"]["name"], {"status": {
                "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}, sub="status")

    def web(self, replicas: int) -> None:
        self.kubectl("create", "deployment", "web", "--image=x", f"--replicas={replicas}")
        eventually(lambda: len([pod for pod in self.pods() if pod["spec"].get("nodeName")]) == replicas)
        self.make_ready()

    def budget(self, **spec) -> None:
        self.api.call("POST", f"/apis/policy/v1/namespaces/{self.ns}/poddisruptionbudgets", {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}})

    def status(self) -> dict:
        return self.api.call("GET", f"/apis/policy/v1/namespaces/{self.ns}/poddisruptionbudgets/b").get("status", {})

    def test_drain_respects_the_budget(self):
        self.kubectl("cordon", "n2")
        self.web(3)
        self.budget(minAvailable=2)
        eventually(lambda: self.status().get("disruptionsAllowed") == 1)
        self.assertIn("2", self.kubectl("get", "pdb", "b").stdout)
        self.kubectl("uncordon", "n2")
        stuck = self.kubectl("drain", "n1", "--timeout=3s", check=False)
        self.assertNotEqual(stuck.returncode, 0)
        self.assertIn("Cannot evict pod as it would violate the pod's disruption budget.", stuck.stderr)
        self.assertIn("node/n1 cordoned", stuck.stdout)
        # Once their successors are ready, the rest may go.
        drain = self.daemon.popen_kubectl("-n", self.ns, "drain", "n1", "--timeout=60s")
        try:
            eventually(lambda: self.make_ready() or drain.poll() is not None, timeout=60, every=0.2)
            self.assertEqual(drain.wait(10), 0, drain.stderr.read())
        finally:
            drain.kill()
            drain.communicate()
        self.assertEqual({pod["spec"].get("nodeName") for pod in self.pods()}, {"n2"})
        self.assertIn("node/n1 uncordoned", self.kubectl("uncordon", "n1").stdout)

    def test_a_bare_pod_is_drained_by_force_only(self):
        self.kubectl("cordon", "n2")
        self.kubectl("run", "bare", "--image=x")
        eventually(lambda: self.pods() and self.pods()[0]["spec"].get("nodeName"))
        refused = self.kubectl("drain", "n1", check=False)
        self.assertIn("cannot delete Pods that declare no controller", refused.stderr)
        self.kubectl("drain", "n1", "--force", "--timeout=20s")
        self.assertEqual(self.pods(), [])

    def test_the_answer_of_an_eviction(self):
        self.web(1)
        self.budget(minAvailable=1)
        eventually(lambda: self.status().get("currentHealthy") == 1)
        name = self.pods()[0]["metadata"]["name"]
        path = f"/api/v1/namespaces/{self.ns}/pods/{name}/eviction"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        error = self.refused(429, self.api.call, "POST", path, body)
        self.assertEqual(error.status["details"]["causes"], [
            {"reason": "DisruptionBudget", "message": "The disruption budget b needs 1 healthy pods and has 1 currently"}])
        error = self.refused(400, self.api.call, "POST", path, {**body, "metadata": {"name": "other"}})
        self.api.call("DELETE", f"/apis/policy/v1/namespaces/{self.ns}/poddisruptionbudgets/b")
        self.assertEqual(self.api.call("POST", path, body)["status"], "Success")

    def test_taints_that_execute(self):
        self.kubectl("cordon", "n2")
        self.kubectl("run", "plain", "--image=x")
        eventually(lambda: self.pods() and self.pods()[0]["spec"].get("nodeName"))
        self.kubectl("taint", "node", "n1", "a=b:NoExecute")
        eventually(lambda: not self.pods())
        self.kubectl("taint", "node", "n1", "a-")
        self.assertNotIn("taints", self.api.get("nodes", "", "n1")["spec"])

    def test_deleting_a_pod_that_no_agent_runs(self):
        self.kubectl("run", "p", "--image=x")
        eventually(lambda: self.pods() and self.pods()[0]["spec"].get("nodeName"))
        self.kubectl("delete", "pod", "p", "--timeout=10s")
        # A node with an agent of its own (kubeletVersion) is left to it; force still works.
        self.api.patch("nodes", "", "n1", {"status": {"nodeInfo": {"kubeletVersion": "v1.35.0"}}}, sub="status")
        self.kubectl("cordon", "n2")
        self.kubectl("run", "q", "--image=x")
        eventually(lambda: self.pods() and self.pods()[0]["spec"].get("nodeName"))
        self.kubectl("delete", "pod", "q", "--wait=false")
        # The one after it goes, so the collector, which takes one pod at a time, has left q alone.
        self.api.create("pods", self.ns, {"metadata": {"name": "r"}, "spec": {
            "nodeName": "n2", "containers": [{"name": "r", "image": "x"}]}})
        self.kubectl("delete", "pod", "r", "--timeout=10s")
        self.assertTrue(self.api.find("pods", self.ns, "q"))
        self.kubectl("delete", "pod", "q", "--grace-period=0", "--force")
        self.assertIsNone(self.api.find("pods", self.ns, "q"))


class AsNobody(unittest.TestCase):
    """mothd --without-node as an ordinary user, with tokens."""

    def test_it_needs_no_root(self):
        setpriv = shutil.which("setpriv")
        if os.geteuid() != 0 or not setpriv:
            self.skipTest("only root with setpriv can become somebody else")
        nobody = pwd.getpwnam("nobody")
        with tempfile.TemporaryDirectory(prefix="moth-nobody-") as folder:
            os.chmod(folder, 0o755)
            tokens = pathlib.Path(folder, "tokens")
            tokens.write_text('secret-token,ci,1,"system:masters"\n')
            home = pathlib.Path(folder, "home")
            home.mkdir()
            for path in (tokens, home):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            # The build folder may be root's alone.
            program = pathlib.Path(folder, "mothd")
            shutil.copy2(os.path.join(BIN, "mothd"), program)
            program.chmod(0o755)
            daemon = Daemon(BIN, with_node=False, args=["--token-auth-file", str(tokens)])
            daemon.bin_dir = folder
            daemon.data_dir = str(home / "data")
            daemon.run_dir = str(home / "run")
            inner = daemon.command
            daemon.command = lambda *more: [setpriv, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}",
                                            "--clear-groups", *inner(*more)]
            try:
                daemon.start()
                done = subprocess.run(["curl", "-sk", "-H", "Authorization: Bearer secret-token",
                                       f"https://127.0.0.1:{daemon.port}/api/v1/namespaces/default"],
                                      capture_output=True, text=True, timeout=10, check=True)
                self.assertIn('"name":"default"', done.stdout.replace(" ", ""))
            finally:
                daemon.destroy()


if __name__ == "__main__":
    unittest.main()
