"""kubectl 1.35, unchanged, with the generated kubeconfig: what users do first."""
import json
import socket
import time
import unittest

from harness import tools
from harness.case import ClusterCase, http

EXAMPLE = tools.REPOSITORY / "manifests/examples/model-server"
# The stand-in for the trained image: same port, paths, variables and answers' codes.
STAND_IN = "model-server:latest"


def node_port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class ModelServer(ClusterCase):
    """The tour of the main job, on the example as it is."""

    alone = True
    node_ports = "30000-30199"
    images = (tools.IMAGE, tools.IMAGE_2, STAND_IN)

    @classmethod
    def setUpClass(cls):
        if not node_port_is_free(30080):
            raise unittest.SkipTest("port 30080 is in use: a mothd with the example runs here already")
        super().setUpClass()

    def kubectl(self, *args, **kwargs) -> str:
        return self.daemon.kubectl(*args, **kwargs).stdout

    def test_the_tour(self):
        applied = self.kubectl("apply", "-f", str(EXAMPLE))
        for line in ("configmap/model-server created", "secret/model-server created",
                     "deployment.apps/model-server created", "service/model-server created",
                     "horizontalpodautoscaler.autoscaling/model-server created"):
            self.assertIn(line, applied)
        self.assertIn("successfully rolled out",
                      self.kubectl("rollout", "status", "deployment/model-server", "--timeout=60s"))
        self.assertIn("condition met", self.kubectl("wait", "--for=condition=Available", "deployment/model-server",
                                                    "--timeout=20s"))
        again = self.kubectl("apply", "-f", str(EXAMPLE))
        self.assertNotIn("created", again)
        # kubectl itself says "configured" of a Secret with stringData, which the server never shows.
        self.assertEqual(again.count("unchanged"), 4, again)
        self.assertEqual(again.count("configured"), 1, again)
        for name in ("configmap", "deployment", "service", "autoscale"):
            done = self.daemon.kubectl("diff", "-f", str(EXAMPLE / f"{name}.yaml"), check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

        self.requests()
        pod = self.kubectl("get", "pods", "-l", "app=model-server", "-o", "name").strip()
        self.get_and_describe(pod)
        self.streams(pod)
        self.scale_and_roll()
        self.top(pod)
        self.delete()

    def requests(self):
        import urllib.error
        import urllib.request
        url = "http://127.0.0.1:30080"
        self.assertEqual(http(url + "/healthz"), "ok\n")

        def predict(**headers):
            request = urllib.request.Request(url + "/predict", b"{}", dict(headers, Connection="close"))
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
                return answer.read().decode()
        with self.assertRaises(urllib.error.HTTPError) as refused:
            predict()
        self.assertEqual(refused.exception.code, 401)
        # The standard library writes "X-api-key"; the stand-in wants the name as documented.
        with socket.create_connection(("127.0.0.1", 30080), 5) as raw:
            raw.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: change-me\r\nConnection: close\r\n\r\n")
            answer = raw.recv(1000).decode()
        self.assertTrue(answer.startswith("HTTP/1.1 200"), answer)

    def get_and_describe(self, pod: str):
        table = self.kubectl("get", "pods")
        self.assertRegex(table, r"NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\n"
                                r"model-server-[a-z0-9]+-[a-z0-9]{5}\s+1/1\s+Running\s+0\s+\d+s\n")
        wide = self.kubectl("get", "pods", "-o", "wide")
        self.assertRegex(wide, r"IP\s+NODE\s+NOMINATED NODE\s+READINESS GATES\n")
        self.assertRegex(self.kubectl("get", "deploy"), r"NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\n"
                                                        r"model-server\s+1/1\s+1\s+1\s+")
        self.assertRegex(self.kubectl("get", "svc", "model-server"),
                         r"model-server\s+NodePort\s+10\.91\.\d+\.\d+\s+<none>\s+80:30080/TCP")
        self.assertRegex(self.kubectl("get", "hpa"), r"model-server\s+Deployment/model-server\s+cpu: .*/70%\s+1\s+4\s+\d")
        self.assertRegex(self.kubectl("get", "nodes"), r"moth-test\s+Ready\s+\S+\s+\d+\w\s+v1\.36\.0\+moth")
        everything = self.kubectl("get", "all,cm,secret,endpoints,endpointslices,events,sa,rs")
        self.assertIn("replicaset.apps/model-server-", everything)
        for output in ("json", "yaml", "name", "jsonpath={.items[0].metadata.name}",
                       "custom-columns=A:.metadata.name", "go-template={{len .items}}"):
            self.assertNotEqual(self.kubectl("get", "pods", "-o", output), "")
        self.assertEqual(json.loads(self.kubectl("get", "deploy", "model-server", "-o", "json"))["kind"], "Deployment")
        for kind in ("pod", "deployment", "replicaset", "service", "hpa", "configmap", "secret", "node", "namespace"):
            text = self.kubectl("describe", kind)
            self.assertIn("Name:", text, kind)
        text = self.kubectl("describe", pod)
        for part in ("Liveness:", "Readiness:", "Startup:", "QoS Class:", "Burstable", "Successfully assigned",
                     "Started container server"):
            self.assertIn(part, text)
        self.assertIn("maxSurge", self.kubectl("explain", "deployment.spec.strategy.rollingUpdate"))
        self.assertIn("deployments", self.kubectl("api-resources"))
        self.assertIn("apps/v1", self.kubectl("api-versions"))
        self.assertIn("Server Version: v1.36.0+moth", self.kubectl("version"))

    def streams(self, pod: str):
        self.assertIn("serving on port 8080", self.kubectl("logs", pod))
        follow = self.daemon.popen_kubectl("logs", "-f", pod)
        self.addCleanup(follow.kill)
        self.assertEqual(follow.stdout.readline(), "serving on port 8080\n")
        follow.kill()
        follow.communicate()
        self.assertEqual(self.kubectl("exec", pod, "--", "/bin/sh", "-c", "echo $MODEL_NAME"), "breast-cancer\n")
        self.assertEqual(self.kubectl("exec", "deploy/model-server", "--", "id", "-u"), "1000\n")
        failed = self.daemon.kubectl("exec", pod, "--", "/bin/sh", "-c", "exit 9", check=False)
        self.assertEqual(failed.returncode, 9)

    def scale_and_roll(self):
        watch = self.daemon.popen_kubectl("get", "pods", "-w", "--no-headers")
        self.addCleanup(watch.kill)
        first = watch.stdout.readline()
        self.assertIn("Running", first)
        # The autoscaler would set the count back.
        self.kubectl("delete", "hpa", "model-server")
        self.kubectl("scale", "deployment/model-server", "--replicas=2")
        self.kubectl("rollout", "status", "deployment/model-server", "--timeout=60s")
        seen = [watch.stdout.readline() for _ in range(3)]
        watch.kill()
        watch.communicate()
        self.assertTrue(any("Pending" in line or "ContainerCreating" in line for line in seen), seen)

        self.kubectl("set", "image", "deployment/model-server", f"server={tools.IMAGE_2}")
        self.kubectl("rollout", "status", "deployment/model-server", "--timeout=60s")
        self.assertEqual(http("http://127.0.0.1:30080/").split()[1], "2")
        history = self.kubectl("rollout", "history", "deployment/model-server")
        self.assertRegex(history, r"REVISION\s+CHANGE-CAUSE\n1\s+<none>\n2\s+<none>")
        self.assertIn("rolled back", self.kubectl("rollout", "undo", "deployment/model-server"))
        self.kubectl("rollout", "status", "deployment/model-server", "--timeout=60s")
        self.assertEqual(http("http://127.0.0.1:30080/").split()[1], "latest")
        self.kubectl("rollout", "restart", "deployment/model-server")
        self.kubectl("rollout", "status", "deployment/model-server", "--timeout=60s")
        self.kubectl("set", "env", "deployment/model-server", "EXTRA=1")
        self.kubectl("rollout", "status", "deployment/model-server", "--timeout=60s")
        self.assertIn("EXTRA", self.kubectl("set", "env", "deployment/model-server", "--list"))
        self.kubectl("label", "deployment/model-server", "team=a")
        self.kubectl("annotate", "deployment/model-server", "note=b")
        self.assertIn("model-server", self.kubectl("get", "deploy", "-l", "team=a"))

    def top(self, pod: str):
        del pod
        deadline = time.monotonic() + 40
        while True:  # usage needs two samples, and no watch tells when they are there
            done = self.daemon.kubectl("top", "pods", check=False)
            if done.returncode == 0 and "model-server" in done.stdout or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        self.assertRegex(done.stdout, r"model-server-\S+\s+\d+m\s+\d+Mi", done.stderr)
        self.assertRegex(self.kubectl("top", "nodes"), r"moth-test\s+\d+m\s+\d+%\s+\d+Mi\s+\d+%")

    def delete(self):
        waiting = self.daemon.popen_kubectl("wait", "--for=delete", "deployment/model-server", "--timeout=60s")
        self.addCleanup(waiting.kill)
        time.sleep(0.3)  # until kubectl watches
        self.kubectl("delete", "-f", str(EXAMPLE), "--ignore-not-found")
        out, errors = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0, out + errors)
        self.api.wait_list("pods", "default", lambda pods: not pods, 60, what="gone")


class Commands(ClusterCase):
    """Single commands that the tour has no place for."""

    def kubectl(self, *args, **kwargs) -> str:
        return self.daemon.kubectl("-n", self.ns, *args, **kwargs).stdout

    def test_run_create_expose_and_delete(self):
        self.kubectl("run", "one", f"--image={tools.IMAGE}", "--port=8080", "--restart=Never")
        self.kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=30s")
        self.kubectl("expose", "pod", "one", "--port=80", "--target-port=8080")
        self.kubectl("create", "configmap", "cm", "--from-literal=a=b")
        self.kubectl("create", "secret", "generic", "sec", "--from-literal=a=b")
        self.kubectl("create", "deployment", "dep", f"--image={tools.IMAGE}", "--replicas=2")
        self.kubectl("rollout", "status", "deployment/dep", "--timeout=30s")
        self.kubectl("autoscale", "deployment", "dep", "--min=1", "--max=3", "--cpu=50%")
        self.kubectl("delete", "pod/one", "svc/one", "cm/cm", "secret/sec", "hpa/dep", "deploy/dep")
        self.assertEqual(self.kubectl("get", "pods,svc,deploy,hpa", "--ignore-not-found",
                                      "--field-selector=metadata.name=one"), "")

    def test_run_and_remove_attached(self):
        out = self.kubectl("run", "shot", f"--image={tools.IMAGE}", "--restart=Never", "--rm", "-i", "--quiet",
                           "--command", "--", "/bin/sh", "-c", "read line; echo got $line", input="hello\n")
        self.assertIn("got hello", out)

    def test_patch_kinds(self):
        self.web_deployment("web", 1)
        self.kubectl("patch", "deploy", "web", "-p", '{"spec":{"replicas":2}}')
        self.kubectl("patch", "deploy", "web", "--type=merge", "-p", '{"metadata":{"labels":{"a":"b"}}}')
        self.kubectl("patch", "deploy", "web", "--type=json", "-p",
                     '[{"op":"replace","path":"/spec/replicas","value":3}]')
        self.kubectl("patch", "deploy", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":0}}')
        web = self.api.get("deployments", self.ns, "web")
        self.assertEqual((web["spec"]["replicas"], web["metadata"]["labels"]), (0, {"a": "b"}))

    def test_apply_prunes_removed_fields_and_keeps_others(self):
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": "1", "b": "2"}}
        self.kubectl("apply", "-f", "-", input=json.dumps(manifest))
        self.api.patch("configmaps", self.ns, "cm", {"data": {"c": "3"}})
        del manifest["data"]["b"]
        self.kubectl("apply", "-f", "-", input=json.dumps(manifest))
        self.assertEqual(self.api.get("configmaps", self.ns, "cm")["data"], {"a": "1", "c": "3"})

    def test_dry_run_changes_nothing(self):
        self.kubectl("create", "configmap", "cm", "--from-literal=a=b", "--dry-run=server")
        self.assertIsNone(self.api.find("configmaps", self.ns, "cm"))

    def test_errors_are_kubernetes_own(self):
        cases = [
            (["get", "pod", "none"], 'Error from server (NotFound): pods "none" not found'),
            (["get", "widgets"], 'the server doesn\'t have a resource type "widgets"'),
            (["create", "configmap", "Bad_Name"], "Invalid value"),
            (["create", "namespace", self.ns], "AlreadyExists"),
            (["logs", "none"], 'pods "none" not found'),
            (["rollout", "undo", "deployment/none"], "not found"),
        ]
        for args, text in cases:
            done = self.daemon.kubectl("-n", self.ns, *args, check=False)
            self.assertNotEqual(done.returncode, 0, args)
            self.assertIn(text, done.stderr, args)

    def test_events_and_get_watch_with_field_selector(self):
        self.run_pod("talker", "exec sleep 100")
        self.assertIn("Started", self.kubectl("events", "--for", "pod/talker"))
        self.assertIn("talker", self.kubectl("get", "events", "--field-selector=involvedObject.name=talker"))
        self.assertIn("talker", self.kubectl("get", "pods", "--field-selector=status.phase=Running"))

    def test_copy_into_and_out_of_a_pod(self):
        import os
        import tempfile
        self.run_pod("box", "exec sleep 100")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "data")
            with open(path, "wb") as out:
                out.write(os.urandom(300_000))
            self.kubectl("cp", path, f"{self.ns}/box:/tmp/data")
            self.kubectl("cp", f"{self.ns}/box:/tmp/data", path + ".back")
            with open(path, "rb") as one, open(path + ".back", "rb") as two:
                self.assertEqual(one.read(), two.read())


if __name__ == "__main__":
    unittest.main()
