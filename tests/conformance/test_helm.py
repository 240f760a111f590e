"""helm 4, unchanged: the whole life of a release of a chart with every common kind, hooks and a custom resource."""
import json
import pathlib
import subprocess
import unittest

from harness import tools
from harness.api import ApiError
from harness.case import ClusterCase

CHART = str(pathlib.Path(__file__).resolve().parent / "chart")


class Helm(ClusterCase):
    def helm(self, *args, check=True, timeout=120):
        done = subprocess.run([tools.helm(), *args, "-n", self.ns], capture_output=True, text=True, timeout=timeout,
                              env=self.daemon.environment())
        if check:
            self.assertEqual(done.returncode, 0, (args, done.stdout[-1500:], done.stderr[-3000:]))
        return done

    def helm_json(self, *args):
        return json.loads(self.helm(*args, "-o", "json").stdout)

    def kubectl(self, *args) -> str:
        return self.daemon.kubectl("-n", self.ns, *args).stdout

    def greeting(self, name: str) -> str:
        pods = self.api.list("pods", self.ns, selector=f"app.kubernetes.io/instance={name}")
        pod = next(pod for pod in pods if not pod["metadata"].get("deletionTimestamp"))
        return self.daemon.kubectl("exec", "-n", self.ns, pod["metadata"]["name"], "--", "/bin/sh", "-c",
                                   "echo $GREETING").stdout.strip()

    def life(self, name: str, server_side: str):
        flags = [f"--server-side={server_side}", "--wait", "--timeout", "60s"]
        installed = self.helm("install", name, CHART, *flags)
        self.assertIn("STATUS: deployed", installed.stdout)
        self.assertIn(f"{name} says hello, revision 1.", installed.stdout)
        self.assertEqual(self.api.get("deployments", self.ns, name)["status"]["availableReplicas"], 1)
        self.assertEqual(self.greeting(name), "hello")
        config = self.api.get("configmaps", self.ns, name)["data"]
        self.assertTrue(config["kubernetes"].startswith("v1.36.0"), config)
        self.assertEqual(config["ingress"], "true")
        self.assertIn("hello", self.kubectl("get", "greetings", name))
        for kind in ("role", "rolebinding", "serviceaccount", "networkpolicy", "ingress", "hpa", "pdb", "cronjob",
                     "service", "secret"):
            self.assertIn(name, self.kubectl("get", kind, name, "-o", "name"))
        self.assertIn("pre-install of revision 1", self.kubectl("logs", f"{name}-pre-install"))
        self.assertIn("post-install of revision 1", self.kubectl("logs", f"{name}-post-install"))

        upgrade = ["upgrade", name, CHART, *flags]
        self.helm(*upgrade, "--set", "greeting=salut,replicas=2,others=true", "--wait=false")
        self.wait_deployment(name)
        self.assertEqual(self.greeting(name), "salut")
        for kind in ("statefulset", "daemonset", "pvc"):
            self.assertIn(name, self.kubectl("get", kind, name, "-o", "name"))
        self.helm(*upgrade, "--set", "greeting=hallo,replicas=2")
        self.assertEqual(self.api.get("deployments", self.ns, name)["status"]["availableReplicas"], 2)
        for kind in ("statefulset", "daemonset", "pvc"):
            self.assertNotIn(name, self.daemon.kubectl("-n", self.ns, "get", kind, "-o", "name").stdout)

        listed = self.helm_json("list")
        self.assertEqual([(item["name"], item["revision"], item["status"]) for item in listed],
                         [(name, "3", "deployed")])
        status = self.helm_json("status", name)
        self.assertEqual((status["version"], status["info"]["status"]), (3, "deployed"))
        self.assertIn("kind: Deployment", self.helm("get", "manifest", name).stdout)
        self.assertIn("greeting: hallo", self.helm("get", "values", name).stdout)
        self.assertIn("helm.sh/hook", self.helm("get", "hooks", name).stdout)

        tested = self.helm("test", name, "--logs")
        self.assertIn("Phase:          Succeeded", tested.stdout)
        self.assertIn("answered", tested.stdout)

        self.helm("rollback", name, "1", "--wait", "--timeout", "60s", f"--server-side={server_side}")
        self.wait_deployment(name)
        self.assertEqual(self.api.get("deployments", self.ns, name)["spec"]["replicas"], 1)
        self.assertEqual(self.greeting(name), "hello")
        history = self.helm_json("history", name)
        self.assertEqual([item["status"] for item in history], ["superseded"] * 3 + ["deployed"])

        broken = self.helm(*upgrade, "--set", "brokenHook=true", check=False)
        self.assertNotEqual(broken.returncode, 0)
        self.assertEqual(self.helm_json("history", name)[-1]["status"], "failed")
        self.helm(*upgrade, "--set", "greeting=again")
        self.assertEqual(self.greeting(name), "again")

        self.helm("uninstall", name, "--wait", "--timeout", "60s")
        self.assertEqual(self.helm_json("list"), [])
        for resource in ("deployments", "services", "configmaps", "roles", "poddisruptionbudgets"):
            try:
                names = [item["metadata"]["name"] for item in self.api.list(resource, self.ns)]
            except (ApiError, KeyError):
                names = self.kubectl("get", resource, "-o", "name")
            self.assertNotIn(name, names)
        # Definitions stay, as helm has it.
        self.assertIn("greetings.sample.example.com", self.kubectl("get", "crds", "-o", "name"))

    def test_a_release_lives_applied_by_the_server(self):
        self.life("one", "true")

    def test_a_release_lives_applied_by_the_client(self):
        self.life("two", "false")

    def test_a_release_that_fails_is_rolled_back(self):
        self.helm("install", "three", CHART, "--wait", "--timeout", "60s")
        failed = self.helm("upgrade", "three", CHART, "--set", "image=nowhere.invalid/none:1", "--rollback-on-failure",
                           "--timeout", "5s", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertEqual(self.helm_json("history", "three")[-1]["status"], "deployed")
        self.assertEqual(self.api.get("deployments", self.ns, "three")["spec"]["template"]["spec"]["containers"][0]
                         ["image"], tools.IMAGE)
        self.helm("uninstall", "three")

    def test_dry_run_and_template_write_nothing(self):
        self.helm("install", "four", CHART, "--dry-run=server")
        self.assertIn("kind: Ingress", self.helm("template", "four", CHART, "--validate").stdout)
        self.assertEqual(self.helm_json("list"), [])


if __name__ == "__main__":
    unittest.main()
