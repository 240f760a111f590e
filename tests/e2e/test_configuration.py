"""Environment and volumes of every kind."""
import base64
import os
import tempfile
import unittest

from harness import tools
from harness.api import container_status, pod_ready
from harness.case import ClusterCase, eventually


class Environment(ClusterCase):
    def test_values_config_maps_secrets_and_references(self):
        self.api.create("configmaps", self.ns, {"metadata": {"name": "settings"}, "data": {"COLOR": "blue", "SIZE": "4"}})
        self.api.create("secrets", self.ns, {"metadata": {"name": "keys"}, "stringData": {"token": "s3cret"}})
        text = self.output_of("env", "env | sort", labels={"tier": "front"}, container={
            "resources": {"requests": {"cpu": "250m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "settings"}},
                        {"configMapRef": {"name": "absent", "optional": True}}],
            "env": [
                {"name": "PLAIN", "value": "a"},
                {"name": "JOINED", "value": "$(PLAIN)-$(COLOR)-$$(PLAIN)-$(UNKNOWN)"},
                {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOR"}}},
                {"name": "BOTH", "value": "$(PLAIN) $(COLOR)"},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
                {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "x", "optional": True}}},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "TIER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['tier']"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}},
                {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            ]})
        env = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        pod = self.api.get("pods", self.ns, "env")
        wanted = {"P_COLOR": "blue", "P_SIZE": "4", "PLAIN": "a", "JOINED": "a-$(COLOR)-$(PLAIN)-$(UNKNOWN)",
                  "COLOR": "blue", "BOTH": "a blue", "TOKEN": "s3cret", "POD": "env", "NAMESPACE": self.ns,
                  "IP": pod["status"]["podIP"], "NODE": "moth-test", "TIER": "front", "CPU": "250", "MEMORY": "32",
                  "HOSTNAME": "env", "IMAGE_VERSION": "1"}
        self.assertEqual({name: env.get(name) for name in wanted}, wanted)
        self.assertNotIn("NONE", env)
        self.assertIn("KUBERNETES_SERVICE_HOST", env)

    def test_service_variables(self):
        service = self.make_service("data-base", {"app": "x"}, 5432, 8080)
        text = self.output_of("vars", "env | grep DATA_BASE | sort")
        self.assertIn(f"DATA_BASE_SERVICE_HOST={service['spec']['clusterIP']}", text)
        self.assertIn("DATA_BASE_SERVICE_PORT=5432", text)

    def test_command_and_arguments(self):
        text = self.output_of("args", None, container={"command": ["/bin/echo", "$(WHO)"], "args": ["b", "$$(WHO)"],
                                                       "env": [{"name": "WHO", "value": "me"}]})
        self.assertEqual(text, "me b $(WHO)\n")


class Volumes(ClusterCase):
    def test_config_map_and_secret(self):
        self.api.create("configmaps", self.ns, {"metadata": {"name": "cm"}, "data": {"a.txt": "one", "b.txt": "two"},
                                                "binaryData": {"raw": base64.b64encode(b"\x00\x01").decode()}})
        self.api.create("secrets", self.ns, {"metadata": {"name": "sec"}, "stringData": {"pw": "hidden"}})
        text = self.output_of("files", "cat /cm/a.txt /cm/b.txt; echo; wc -c </cm/raw; cat /sec/pw; echo; "
                                       "stat -L -c %a /sec/pw; ls /items; cat /single; echo; touch /cm/x 2>&1 || echo ro",
                              volumes=[{"name": "cm", "configMap": {"name": "cm"}},
                                       {"name": "sec", "secret": {"secretName": "sec", "defaultMode": 0o400}},
                                       {"name": "items", "configMap": {"name": "cm", "items": [
                                           {"key": "a.txt", "path": "sub/renamed"}]}}],
                              container={"volumeMounts": [
                                  {"name": "cm", "mountPath": "/cm"}, {"name": "sec", "mountPath": "/sec"},
                                  {"name": "items", "mountPath": "/items"},
                                  {"name": "cm", "mountPath": "/single", "subPath": "a.txt"}]})
        lines = text.splitlines()
        self.assertEqual(lines[:5], ["onetwo", "2", "hidden", "400", "sub"])
        self.assertEqual(lines[5], "one")
        self.assertEqual(lines[-1], "ro")

    def test_config_map_changes_arrive(self):
        self.api.create("configmaps", self.ns, {"metadata": {"name": "live"}, "data": {"v": "old"}})
        self.run_pod("reader", "while true; do cat /cm/v; echo; sleep 0.1; done",
                     volumes=[{"name": "cm", "configMap": {"name": "live"}}],
                     container={"volumeMounts": [{"name": "cm", "mountPath": "/cm"}]})
        self.api.patch("configmaps", self.ns, "live", {"data": {"v": "new"}})
        self.assertTrue(eventually(lambda: "new" in self.api.log(self.ns, "reader", tailLines=2), 20))

    def test_empty_dir_shared_in_memory_and_kept_over_restarts(self):
        mount = [{"name": "disk", "mountPath": "/disk"}, {"name": "ram", "mountPath": "/ram"}]
        self.make_pod("share", "echo x >>/disk/runs; cat /disk/runs | wc -l; grep ' /ram ' /proc/mounts; "
                               "[ $(cat /disk/runs | wc -l) -ge 2 ] && exec sleep 1000; exit 1",
                      volumes=[{"name": "disk", "emptyDir": {}},
                               {"name": "ram", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}],
                      container={"volumeMounts": mount},
                      more_containers=[{"name": "side", "image": tools.IMAGE, "volumeMounts": mount,
                                        "command": ["/bin/sleep", "1000"]}])
        self.wait_pod("share", lambda p: pod_ready(p) and container_status(p, "main")["restartCount"] == 1, 30,
                      "running again")
        text = self.api.log(self.ns, "share", container="main")
        self.assertEqual(text.splitlines()[0], "2")
        self.assertRegex(text, r"tmpfs /ram tmpfs .*size=8192k")
        self.assertEqual(self.exec("share", "cat", "/disk/runs", container="side").stdout, "x\nx\n")

    def test_host_path(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "given"), "w", encoding="ascii") as out:
                out.write("from the host\n")
            text = self.output_of("host", "cat /h/given; echo back >/h/made",
                                  volumes=[{"name": "h", "hostPath": {"path": folder, "type": "Directory"}}],
                                  container={"volumeMounts": [{"name": "h", "mountPath": "/h"}]})
            self.assertEqual(text, "from the host\n")
            with open(os.path.join(folder, "made"), encoding="ascii") as made:
                self.assertEqual(made.read(), "back\n")

    def test_missing_host_path_is_told(self):
        self.make_pod("nohost", "true", volumes=[{"name": "h", "hostPath": {"path": "/does/not/exist",
                                                                          "type": "Directory"}}],
                      container={"volumeMounts": [{"name": "h", "mountPath": "/h"}]})
        self.wait_event("nohost", "FailedMount", text="hostPath type check failed")

    def test_downward_api_and_projected(self):
        self.api.create("configmaps", self.ns, {"metadata": {"name": "cm"}, "data": {"k": "config"}})
        self.api.create("secrets", self.ns, {"metadata": {"name": "sec"}, "stringData": {"k": "secret"}})
        text = self.output_of(
            "down", "cat /d/labels; echo; cat /d/name; echo; cat /d/cpu; echo; cat /p/c /p/s /p/n; echo",
            labels={"app": "down", "zone": "a"},
            volumes=[{"name": "d", "downwardAPI": {"items": [
                {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
                {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu",
                                                     "divisor": "1m"}}]}},
                     {"name": "p", "projected": {"sources": [
                         {"configMap": {"name": "cm", "items": [{"key": "k", "path": "c"}]}},
                         {"secret": {"name": "sec", "items": [{"key": "k", "path": "s"}]}},
                         {"downwardAPI": {"items": [{"path": "n", "fieldRef": {
                             "fieldPath": "metadata.namespace"}}]}}]}}],
            container={"resources": {"limits": {"cpu": "300m"}},
                       "volumeMounts": [{"name": "d", "mountPath": "/d"}, {"name": "p", "mountPath": "/p"}]})
        self.assertEqual(text, f'app="down"\nzone="a"\ndown\n300\nconfigsecret{self.ns}\n')


if __name__ == "__main__":
    unittest.main()
