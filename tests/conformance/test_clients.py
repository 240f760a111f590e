"""Client libraries as they are: Python's (Debian's python3-kubernetes), JavaScript's (@kubernetes/client-node) and an
operator on the former."""
import json
import pathlib
import subprocess
import unittest

from harness import tools
from harness.case import ClusterCase

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
PYTHON = "/usr/bin/python3"

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "websites.apps.example.com"},
    "spec": {"group": "apps.example.com", "scope": "Namespaced",
             "names": {"plural": "websites", "singular": "website", "kind": "Website", "shortNames": ["ws"]},
             "versions": [{
                 "name": "v1", "served": True, "storage": True,
                 "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                                                          "statusReplicasPath": ".status.readyReplicas"}},
                 "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                     "spec": {"type": "object", "required": ["title"], "properties": {
                         "title": {"type": "string"}, "replicas": {"type": "integer", "minimum": 0, "default": 1}}},
                     "status": {"type": "object", "properties": {
                         "readyReplicas": {"type": "integer"}, "observedGeneration": {"type": "integer"}}}}}}}]}}


class Clients(ClusterCase):
    def client(self, *command, timeout=60):
        try:
            done = subprocess.run([*command, self.ns, tools.IMAGE], capture_output=True, text=True, timeout=timeout,
                                  env=self.daemon.environment())
        except subprocess.TimeoutExpired as late:
            self.fail(f"nothing within {timeout} s after: {(late.stdout or b'').decode()[-1000:]}")
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        self.assertIn("done", done.stdout)

    def test_the_python_client(self):
        self.client(PYTHON, str(CLIENTS / "python_client.py"))

    def test_the_javascript_client(self):
        self.client("node", str(tools.javascript_client(CLIENTS / "javascript_client.mjs")))

    def test_an_operator_owns_deployments_and_writes_status(self):
        def kubectl(*args, **kwargs):
            return self.daemon.kubectl("-n", self.ns, *args, **kwargs).stdout
        kubectl("apply", "-f", "-", input=json.dumps(DEFINITION))
        kubectl("wait", "--for=condition=Established", "crd/websites.apps.example.com", "--timeout=10s")
        operator = subprocess.Popen([PYTHON, str(CLIENTS / "operator.py"), self.ns, tools.IMAGE],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    env=self.daemon.environment())
        self.addCleanup(operator.stdout.close)
        self.addCleanup(operator.wait)
        self.addCleanup(operator.kill)
        self.assertEqual(operator.stdout.readline().strip(), "watching")
        site = {"apiVersion": "apps.example.com/v1", "kind": "Website", "metadata": {"name": "home"},
                "spec": {"title": "Home"}}
        kubectl("apply", "-f", "-", input=json.dumps(site))
        kubectl("wait", "--for=jsonpath={.status.readyReplicas}=1", "website/home", "--timeout=30s")
        kubectl("scale", "website/home", "--replicas=2")
        kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", "website/home", "--timeout=30s")
        # What somebody else deletes comes back; what belongs to the site goes with it.
        uid = kubectl("get", "deployment", "home", "-o", "jsonpath={.metadata.uid}")
        kubectl("delete", "deployment", "home")
        found = self.api.wait("deployments", self.ns, "home",
                              lambda item: item and item["metadata"]["uid"] != uid, 30, "made again")
        self.assertEqual(found["metadata"]["ownerReferences"][0]["kind"], "Website")
        kubectl("delete", "website", "home")
        self.wait_gone("deployments", "home")
        self.assertIsNone(operator.poll(), "the operator still runs")


if __name__ == "__main__":
    unittest.main()
