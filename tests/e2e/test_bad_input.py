"""What bad input gets: the right code, the field, the remedy; and never a half-started daemon."""
import json
import os
import socket
import subprocess
import tempfile
import unittest

from harness.api import PATHS, STRATEGIC
from harness.case import BIN, ClusterCase, container_status, need_moth, why_no_node
from harness.daemon import Daemon


def pod(name="p", **container):
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i:1", **container}]}}


def deployment(**spec):
    base = {"selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}}
    base.update(spec)
    return {"metadata": {"name": "d"}, "spec": {key: value for key, value in base.items() if value is not None}}


def service(**spec):
    return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}


# resource, body, code, what the message holds
TABLE = [
    ("pods", pod(name="Bad_Name"), 422, 'metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain'),
    ("pods", pod(image=""), 422, "spec.containers[0].image: Required value"),
    ("pods", pod(name=""), 422, "name or generateName is required"),
    ("pods", {"metadata": {"name": "p"}, "spec": {"containers": []}}, 422, "spec.containers: Required value"),
    ("pods", pod(resources={"requests": {"cpu": "many"}}), 400, "quantities must match the regular expression"),
    ("pods", pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}), 422,
     "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit"),
    ("pods", pod(ports=[{"containerPort": 70000}]), 422,
     "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"),
    ("pods", pod(ports=[{"containerPort": "http"}]), 400, "containerPort"),
    ("pods", pod(env=[{"name": "A", "value": 1}]), 400, "env"),
    ("pods", pod(volumeMounts=[{"name": "none", "mountPath": "/x"}]), 422,
     'spec.containers[0].volumeMounts[0].name: Not found: "none"'),
    ("pods", {"metadata": {"name": "p"}, "spec": {"restartPolicy": "Sometimes", "containers": [
        {"name": "c", "image": "i"}]}}, 422, 'spec.restartPolicy: Unsupported value: "Sometimes"'),
    ("deployments", deployment(selector=None), 422, "spec.selector: Required value"),
    ("deployments", deployment(selector={"matchLabels": {"a": "c"}}), 422,
     "`selector` does not match template `labels`"),
    ("deployments", deployment(replicas=-1), 422,
     "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ("services", service(ports=[{"port": 0}]), 422,
     "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    ("services", service(type="NodePort", ports=[{"port": 80, "nodePort": 5}]), 422,
     "spec.ports[0].nodePort: Invalid value: 5: provided port is not in the valid range"),
    ("services", service(clusterIP="10.1.1.1"), 422, "spec.clusterIPs: Invalid value"),
    ("services", {"metadata": {"name": "s_s"}, "spec": {"ports": [{"port": 80}]}}, 422, "metadata.name: Invalid value"),
    ("configmaps", {"metadata": {"name": "c"}, "data": {"bad/key": "x"}}, 422, "data[bad/key]: Invalid value"),
    ("namespaces", {"metadata": {"name": "a.b"}}, 422, "metadata.name: Invalid value"),
    ("horizontalpodautoscalers", {"metadata": {"name": "h"}, "spec": {
        "maxReplicas": 0, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}}, 422,
     "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
]


class ApiAnswers(ClusterCase):
    with_node = False

    def test_table(self):
        wrong = []
        for resource, body, code, text in TABLE:
            status, _, data = self.api.raw("POST", PATHS[resource] + (
                "/namespaces" if resource == "namespaces" else f"/namespaces/{self.ns}/{resource}"), body)
            answer = json.loads(data)
            message = answer.get("message", "")
            if status != code or text not in message or answer.get("kind") != "Status":
                wrong.append(f"{resource}: wanted {code} {text!r}\n      got {status} {message!r}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def path(self, resource="configmaps"):
        return f"/api/v1/namespaces/{self.ns}/{resource}"

    def test_unknown_field_is_refused_when_strict(self):
        body = {"metadata": {"name": "x"}, "date": {"a": "b"}}
        error = self.refused(400, self.api.call, "POST", self.path() + "?fieldValidation=Strict", body)
        self.assertIn('strict decoding error: unknown field "date"', error.message)
        code, headers, _ = self.api.raw("POST", self.path() + "?fieldValidation=Warn", body)
        self.assertEqual(code, 201)
        self.assertIn('unknown field \\"date\\"', headers.get("Warning", ""))

    def test_kubectl_shows_the_strict_message(self):
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndate: {a: b}\n"
        done = self.daemon.kubectl("apply", "-n", self.ns, "-f", "-", input=text, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('unknown field "date"', done.stderr)

    def test_broken_bodies(self):
        for body, kind in ((b"{", "application/json"), (b"a: [", "application/yaml"), (b"k8s\0\xff\xff",
                           "application/vnd.kubernetes.protobuf"), (b"[]", "application/json"),
                           (b'{"kind": "Pod", "apiVersion": "v1"}', "application/json")):
            code, _, data = self.api.raw("POST", self.path(), body, kind)
            self.assertEqual(code, 400, (body, data))
            self.assertEqual(json.loads(data)["kind"], "Status")
        code, _, _ = self.api.raw("POST", self.path(), b"x", "text/html")
        self.assertEqual(code, 415)

    def test_too_large_a_body_is_413(self):
        body = {"metadata": {"name": "big"}, "data": {"a": "x" * (4 << 20)}}
        code, _, _ = self.api.raw("POST", self.path(), body)
        self.assertEqual(code, 413)
        self.assertEqual(self.api.call("GET", "/readyz"), "ok")

    def test_conflicts_and_missing_objects(self):
        self.api.create("configmaps", self.ns, {"metadata": {"name": "x"}})
        self.assertEqual(self.refused(409, self.api.create, "configmaps", self.ns,
                                      {"metadata": {"name": "x"}}).reason, "AlreadyExists")
        stale = self.api.get("configmaps", self.ns, "x")
        self.api.patch("configmaps", self.ns, "x", {"data": {"a": "b"}})
        error = self.refused(409, self.api.update, "configmaps", self.ns, stale)
        self.assertIn("the object has been modified; please apply your changes to the latest version", error.message)
        self.refused(404, self.api.get, "configmaps", self.ns, "y")
        self.refused(404, self.api.create, "configmaps", "nowhere", {"metadata": {"name": "x"}})
        self.refused(404, self.api.call, "GET", "/apis/none/v1/things")

    def test_without_credentials(self):
        import http.client
        import ssl
        connection = http.client.HTTPSConnection("127.0.0.1", self.daemon.port, timeout=5,
                                                 context=ssl._create_unverified_context())
        connection.request("GET", "/api/v1/namespaces")
        response = connection.getresponse()
        self.assertEqual(response.status, 403)
        self.assertIn(b"system:anonymous", response.read())
        connection.request("GET", "/api/v1/namespaces", headers={"Authorization": "Bearer wrong"})
        self.assertEqual(connection.getresponse().status, 401)
        connection.close()

    def test_immutable_fields(self):
        self.api.create("deployments", self.ns, deployment(replicas=0))
        error = self.refused(422, self.api.patch, "deployments", self.ns, "d", {"spec": {
            "selector": {"matchLabels": {"a": "z"}}, "template": {"metadata": {"labels": {"a": "z"}}}}}, STRATEGIC)
        self.assertIn("field is immutable", error.message)

    @need_moth
    def test_moth_names_file_line_and_column(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "bad.yaml")
            with open(path, "w", encoding="utf-8") as out:
                out.write("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n data: {a\n")
            done = self.daemon.moth("apply", "-f", path, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, r"bad\.yaml.*line \d+.*column \d+")
            with open(path, "w", encoding="utf-8") as out:
                out.write("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndate: {a: b}\n")
            done = self.daemon.moth("apply", "-f", path, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn('unknown field "date"', done.stderr)


class UnknownImage(ClusterCase):
    def test_pull_error_then_back_off(self):
        self.make_pod("lost", container={"image": "127.0.0.1:9/none:1"})

        def waiting(reason):
            return lambda p: p and container_status(p).get("state", {}).get("waiting", {}).get("reason") == reason
        self.wait_pod("lost", waiting("ErrImagePull"), 20, "ErrImagePull")
        found = self.wait_pod("lost", waiting("ImagePullBackOff"), 30, "ImagePullBackOff")
        self.assertIn('Back-off pulling image "127.0.0.1:9/none:1"',
                      container_status(found)["state"]["waiting"]["message"])
        self.assertIn("refused", self.wait_event("lost", "Failed", text="Failed to pull image")["message"])

    def test_bad_image_name(self):
        self.make_pod("odd", container={"image": "UPPER/Case:bad tag"})
        self.wait_pod("odd", lambda p: p and container_status(p).get("state", {}).get("waiting", {}).get("reason")
                      == "InvalidImageName", 20, "InvalidImageName")

    def test_never_pull(self):
        self.make_pod("never", container={"image": "absent:1", "imagePullPolicy": "Never"})
        self.wait_pod("never", lambda p: p and container_status(p).get("state", {}).get("waiting", {}).get("reason")
                      == "ErrImageNeverPull", 20, "ErrImageNeverPull")


class Starting(unittest.TestCase):
    """The daemon names what keeps it from starting, and ends."""

    def fails(self, daemon: Daemon, *args) -> str:
        done = subprocess.run(daemon.command(*args), capture_output=True, text=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
        return done.stdout + done.stderr

    def setUp(self):
        self.first = Daemon(BIN, with_node=False)
        self.addCleanup(self.first.destroy)

    def test_port_taken(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", self.first.port))
            taken.listen()
            text = self.fails(self.first)
        self.assertIn(f"--listen 127.0.0.1:{self.first.port}", text)
        self.assertIn("in use", text)

    def test_data_dir_locked_by_another(self):
        self.first.start()
        command = self.first.command()
        command[command.index("--listen") + 1] = "127.0.0.1:0"
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(self.first.data_dir, done.stdout + done.stderr)
        self.assertEqual(self.first.api.call("GET", "/readyz"), "ok")

    @unittest.skipIf(why_no_node(), why_no_node())
    def test_instance_held_by_another(self):
        """Its interfaces, rules and control groups bear the instance's name, wherever its data lies."""
        daemon = Daemon(BIN)
        self.addCleanup(daemon.destroy)
        daemon.start()
        with tempfile.TemporaryDirectory() as folder:
            command = daemon.command()
            for setting, value in (("--data-dir", folder), ("--listen", "127.0.0.1:0")):
                command[command.index(setting) + 1] = value
            done = subprocess.run(command, capture_output=True, text=True, timeout=20)
            self.assertEqual(os.listdir(folder), [])
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"another daemon runs the instance {daemon.instance}", done.stdout + done.stderr)
        self.assertTrue(os.path.exists(daemon.run_dir))
        self.assertEqual(daemon.api.call("GET", "/readyz"), "ok")

    def test_bad_settings(self):
        for setting, value in (("--pod-cidr", "10.0.0.0/99"), ("--node-port-range", "9-1"), ("--instance", "Not Good"),
                               ("--listen", "nowhere"), ("--data-dir", "relative"), ("--log-level", "loud"),
                               ("--oci-runtime", "/does/not/exist")):
            command = [os.path.join(BIN, "mothd"), "--instance", self.first.instance, "--data-dir",
                       self.first.data_dir, "--listen", "127.0.0.1:0", setting, value]
            if setting in ("--instance", "--listen", "--data-dir"):
                at = command.index(setting)
                del command[at:at + 2]
            done = subprocess.run(command, capture_output=True, text=True, timeout=20)
            self.assertNotEqual(done.returncode, 0, setting)
            self.assertIn(setting, done.stdout + done.stderr)
        self.assertEqual(self.first.footprint.everything(), {})

    @unittest.skipIf(why_no_node(), why_no_node())
    def test_a_late_failure_leaves_no_run_dir(self):
        """The port is the last thing that is taken: by then the node is up."""
        daemon = Daemon(BIN)
        self.addCleanup(daemon.destroy)
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", daemon.port))
            taken.listen()
            self.assertIn("in use", self.fails(daemon))
        self.assertFalse(os.path.exists(daemon.run_dir))
        daemon.start()  # and the next one finds everything as it needs it

    def test_data_dir_that_cannot_be_made(self):
        daemon = self.first
        with open(daemon.folder + "/file", "w", encoding="ascii"):
            pass
        daemon.data_dir = daemon.folder + "/file/below"
        self.assertIn("--data-dir", self.fails(daemon))


if __name__ == "__main__":
    unittest.main()
