"""kubectl 1.35, unchanged: patch, label, annotate, set, scale, autoscale and expose."""
import json

from kubectl_case import KubectlCase


class Patch(KubectlCase):
    def test_three_types(self):
        self.create(self.deployment(replicas=0))
        self.assertEqual(self.kubectl("patch", "deploy", "web", "-p", '{"spec":{"template":{"spec":{"containers":'
                                      '[{"name":"side","image":"s:1"}]}}}}'), "deployment.apps/web patched\n")
        names = self.value("deploy/web", ".spec.template.spec.containers[*].name")
        self.assertEqual(sorted(names.split()), ["main", "side"])
        self.kubectl("patch", "deploy/web", "--type=merge", "-p", '{"spec":{"template":{"spec":{"containers":'
                     '[{"name":"only","image":"s:1"}]}}}}')
        self.assertEqual(self.value("deploy/web", ".spec.template.spec.containers[*].name"), "only")
        self.kubectl("patch", "deploy", "web", "--type=json", "-p", '[{"op":"test","path":"/spec/replicas","value":0},'
                     '{"op":"add","path":"/metadata/labels/x~1y","value":"z"},{"op":"remove","path":"/metadata/labels/app"}]')
        self.assertEqual(self.json("get", "deploy", "web")["metadata"]["labels"], {"x/y": "z"})
        self.assertEqual(self.kubectl("patch", "deploy", "web", "--type=merge", "-p", '{"spec":{"replicas":0}}'),
                         "deployment.apps/web patched (no change)\n")
        path = self.file("patch.yaml", "spec:\n  replicas: 1\n")
        self.assertEqual(self.kubectl("patch", "deploy", "web", "--patch-file", path), "deployment.apps/web patched\n")
        path = self.file("web.json", self.deployment())
        self.assertEqual(self.kubectl("patch", "-f", path, "-p", '{"spec":{"replicas":0}}', "-o",
                                      "jsonpath={.spec.replicas}"), "0")

    def test_refusals(self):
        self.create(self.deployment(replicas=0))

        def refused(kind: str, patch: str) -> str:
            return self.fails("patch", "deploy", "web", f"--type={kind}", "-p", patch)
        self.assertIn("The request is invalid: patch: test operation for path '/spec/replicas': test failed",
                      refused("json", '[{"op":"test","path":"/spec/replicas","value":9}]'))
        self.assertIn("is invalid", refused("merge", '{"spec":{"replicas":-1}}'))
        self.assertIn("Operation cannot be fulfilled",
                      refused("merge", '{"metadata":{"resourceVersion":"1"},"spec":{"replicas":1}}'))
        self.assertIn('--type must be one of [json merge strategic], not "nope"', refused("nope", "{}"))
        out, warning = self.both("patch", "deploy", "web", "-p", '{"spec":{"nope":1}}')
        self.assertEqual((out, warning), ("deployment.apps/web patched (no change)\n", 'Warning: unknown field "spec.nope"\n'))

    def test_subresources_and_dry_run(self):
        self.create(self.deployment(replicas=0), self.pod("p"))
        self.kubectl("patch", "deploy", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":2}}')
        self.assertEqual(self.value("deploy/web", ".spec.replicas"), "2")
        self.kubectl("patch", "pod", "p", "--subresource=status", "-p", '{"status":{"phase":"Failed"}}')
        self.assertEqual(self.value("pod/p", ".status.phase"), "Failed")
        self.assertEqual(self.kubectl("patch", "deploy", "web", "--dry-run=server", "-p", '{"spec":{"replicas":5}}'),
                         "deployment.apps/web patched\n")
        self.assertEqual(self.value("deploy/web", ".spec.replicas"), "2")
        path = self.file("web.json", self.deployment())
        self.assertIn("replicas: 9", self.kubectl("patch", "--local", "-f", path, "-p", '{"spec":{"replicas":9}}',
                                                  "-o", "yaml"))


class Metadata(KubectlCase):
    def both_commands(self, command: str, done: str, undone: str, field: str) -> None:
        self.create(self.config_map("one", labels={"in": "set"}), self.config_map("two", labels={"in": "set"}))

        def values() -> dict:
            return {key: value for key, value in (self.json("get", "cm", "one")["metadata"].get(field) or {}).items()
                    if key in "ab"}
        self.assertEqual(self.kubectl(command, "cm", "one", "a=1", "b=2"), f"configmap/one {done}\n")
        self.assertEqual(values(), {"a": "1", "b": "2"})
        self.assertIn("already has a value (1)", self.fails(command, "cm", "one", "a=2"))
        self.assertEqual(self.kubectl(command, "cm", "one", "a=2", "--overwrite"), f"configmap/one {done}\n")
        self.assertEqual(self.kubectl(command, "cm", "one", "b-"), f"configmap/one {undone}\n")
        self.assertEqual(values(), {"a": "2"})
        self.assertEqual(self.kubectl(command, "cm", "-l", "in=set", "c=3"),
                         f"configmap/one {done}\nconfigmap/two {done}\n")
        self.assertIn("a=2", self.kubectl(command, "cm", "one", "--list"))
        version = self.value("cm/one", ".metadata.resourceVersion")
        self.assertIn("has been modified", self.fails(command, "cm", "one", "a=5", "--overwrite", "--resource-version=1"))
        self.kubectl(command, "cm", "one", "a=5", "--overwrite", f"--resource-version={version}")
        self.kubectl(command, "cm", "one", "a=6", "--overwrite", "--dry-run=server")
        self.assertEqual(values(), {"a": "5"})
        path = self.file("cm.json", self.config_map("one"))
        self.assertEqual(self.kubectl(command, "-f", path, "b=7"), f"configmap/one {done}\n")
        self.assertIn("d: \"8\"", self.kubectl(command, "--local", "-f", path, "d=8", "-o", "yaml"))
        self.kubectl(command, "cm", "--all", "all=1")

    def test_label(self):
        self.both_commands("label", "labeled", "unlabeled", "labels")
        self.assertEqual(self.kubectl("label", "cm", "one", "a=5"), "configmap/one not labeled\n")
        self.assertIn("invalid label value", self.fails("label", "cm", "one", "x=not valid"))

    def test_annotate(self):
        self.both_commands("annotate", "annotated", "annotated", "annotations")


class Set(KubectlCase):
    def test_image(self):
        self.create(self.deployment(replicas=0), self.pod("p"))
        self.assertEqual(self.kubectl("set", "image", "deploy/web", "main=nginx:2"),
                         "deployment.apps/web image updated\n")
        self.assertEqual(self.kubectl("set", "image", "deploy,pods", "--all", "*=nginx:3"),
                         "deployment.apps/web image updated\npod/p image updated\n")
        self.assertEqual(self.value("pod/p", ".spec.containers[0].image"), "nginx:3")
        self.assertIn('unable to find container named "nope"', self.fails("set", "image", "deploy/web", "nope=x"))

    def test_env(self):
        self.create(self.deployment(replicas=0), self.config_map("settings", data={"KEY": "v", "OTHER": "w"}))
        self.assertEqual(self.kubectl("set", "env", "deploy/web", "A=1", "B=2"), "deployment.apps/web env updated\n")
        self.kubectl("set", "env", "deploy/web", "--from=configmap/settings", "--keys=KEY", "--prefix=P_")
        self.kubectl("set", "env", "deploy/web", "B-")
        listed = self.kubectl("set", "env", "deploy/web", "--list")
        self.assertIn("A=1\n", listed)
        self.assertNotIn("B=2\n", listed)
        self.assertIn("P_KEY=v\n", self.kubectl("set", "env", "deploy/web", "--list", "--resolve"))
        self.kubectl("set", "env", "deploy/web", "-c", "main", "-", input="C=3\n")
        self.assertIn("C=3\n", self.kubectl("set", "env", "deploy", "--all", "--list"))

    def test_resources_selector_and_account(self):
        self.create(self.deployment(replicas=0), {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
                                                  "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}})
        self.assertEqual(self.kubectl("set", "resources", "deploy", "web", "--limits=cpu=200m,memory=64Mi",
                                      "--requests=cpu=100m"), "deployment.apps/web resource requirements updated\n")
        resources = self.json("get", "deploy", "web")["spec"]["template"]["spec"]["containers"][0]["resources"]
        self.assertEqual(resources, {"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "100m"}})
        self.assertEqual(self.kubectl("set", "selector", "service", "s", "c=d"), "service/s selector updated\n")
        self.assertEqual(self.json("get", "svc", "s")["spec"]["selector"], {"c": "d"})
        self.assertEqual(self.kubectl("set", "serviceaccount", "deploy", "web", "bot"),
                         "deployment.apps/web serviceaccount updated\n")
        self.assertEqual(self.value("deploy/web", ".spec.template.spec.serviceAccountName"), "bot")

    def test_subject(self):
        self.kubectl("create", "rolebinding", "b", "--clusterrole=view", "--user=u")
        self.assertEqual(self.kubectl("set", "subject", "rolebinding", "b", "--group=g", f"--serviceaccount={self.ns}:s"),
                         "rolebinding.rbac.authorization.k8s.io/b subjects updated\n")
        self.assertEqual(sorted(s["name"] for s in self.json("get", "rolebinding", "b")["subjects"]), ["g", "s", "u"])


class Scale(KubectlCase):
    def test_scale(self):
        self.create(self.deployment(replicas=1, paused=True), self.deployment("other", replicas=1, paused=True))
        self.assertEqual(self.kubectl("scale", "deploy", "web", "--replicas=3"), "deployment.apps/web scaled\n")
        # With an expectation kubectl reads the scale and puts it back, as JSON without any Content-Type.
        asked = self.requests("scale", "deploy", "web", "--current-replicas=3", "--replicas=2")
        self.assertIn("PUT", [method for method, _, _ in asked])
        self.assertEqual(self.value("deploy/web", ".spec.replicas"), "2")
        self.assertIn("Expected replicas to be 9, was 2",
                      self.fails("scale", "deploy", "web", "--current-replicas=9", "--replicas=1"))
        version = self.value("deploy/web", ".metadata.resourceVersion")
        self.assertIn("Expected resource version to be 1, was ",
                      self.fails("scale", "deploy", "web", "--resource-version=1", "--replicas=1"))
        self.kubectl("scale", "deploy", "web", f"--resource-version={version}", "--replicas=4")
        self.assertEqual(self.kubectl("scale", "deploy/web", "deploy/other", "--replicas=0"),
                         "deployment.apps/web scaled\ndeployment.apps/other scaled\n")
        self.assertEqual(self.kubectl("scale", "deploy", "--all", "--replicas=1", "--dry-run=server"),
                         "deployment.apps/other scaled (server dry run)\ndeployment.apps/web scaled (server dry run)\n")
        self.assertEqual(self.value("deploy", ".items[*].spec.replicas"), "0 0")
        path = self.file("web.json", self.deployment())
        self.assertEqual(self.kubectl("scale", "-f", path, "--replicas=1"), "deployment.apps/web scaled\n")
        self.assertEqual(self.kubectl("scale", "deploy", "-l", "app=other", "--replicas=1"),
                         "deployment.apps/other scaled\n")
        self.assertIn('deployments.apps "nope" not found', self.fails("scale", "deploy", "nope", "--replicas=1"))
        self.assertIn("the server could not find the requested resource",
                      self.fails("scale", "sa", "default", "--replicas=1"))

    def test_the_other_kinds(self):
        template = self.deployment()["spec"]["template"]
        selector = {"matchLabels": {"app": "web"}}
        self.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r"},
                     "spec": {"replicas": 0, "selector": selector, "template": template}},
                    {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"},
                     "spec": {"replicas": 0, "serviceName": "s", "selector": selector, "template": template}},
                    {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "c"},
                     "spec": {"replicas": 0, "selector": {"app": "web"}, "template": template}})
        for what in ("replicaset.apps/r", "statefulset.apps/s", "replicationcontroller/c"):
            self.assertEqual(self.kubectl("scale", what, "--replicas=2"), f"{what} scaled\n")
            self.assertEqual(self.value(what, ".spec.replicas"), "2")
            self.assertEqual(self.kubectl("scale", what, "--replicas=0", "--current-replicas=2"), f"{what} scaled\n")


class Expose(KubectlCase):
    def test_expose(self):
        self.create(self.deployment(replicas=0), self.pod("p"))
        self.assertEqual(self.kubectl("expose", "deploy", "web"), "service/web exposed\n")
        spec = self.json("get", "svc", "web")["spec"]
        self.assertEqual((spec["ports"], spec["selector"]),
                         ([{"port": 80, "protocol": "TCP", "targetPort": 80}], {"app": "web"}))
        self.assertEqual(self.kubectl("expose", "pod", "p", "--port=8080", "--target-port=http", "--name=named",
                                      "--type=NodePort", "--protocol=UDP", "--labels=a=b", "--session-affinity=ClientIP"),
                         "service/named exposed\n")
        made = self.json("get", "svc", "named")
        self.assertEqual((made["spec"]["type"], made["spec"]["sessionAffinity"], made["metadata"]["labels"]),
                         ("NodePort", "ClientIP", {"a": "b"}))
        self.assertEqual(self.kubectl("expose", "svc", "web", "--port=81", "--target-port=80", "--name=again",
                                      "--cluster-ip=None"), "service/again exposed\n")
        self.assertEqual(self.fails("expose", "deploy", "web"),
                         'Error from server (AlreadyExists): services "web" already exists\n')
        shown = self.json("expose", "deploy", "web", "--name=dry", "--dry-run=server")
        self.assertTrue(shown["spec"]["clusterIP"])
        self.assertIn("NotFound", self.fails("get", "svc", "dry"))

    def test_autoscale(self):
        self.create(self.deployment(replicas=0))
        self.assertEqual(self.kubectl("autoscale", "deploy", "web", "--min=1", "--max=3", "--cpu=50%", "--memory=100Mi"),
                         "horizontalpodautoscaler.autoscaling/web autoscaled\n")
        spec = self.json("get", "hpa", "web")["spec"]
        self.assertEqual((spec["minReplicas"], spec["maxReplicas"], spec["scaleTargetRef"]),
                         (1, 3, {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}))
        self.assertEqual({m["resource"]["name"]: m["resource"]["target"]["type"] for m in spec["metrics"]},
                         {"cpu": "Utilization", "memory": "AverageValue"})
        self.assertRegex(self.kubectl("get", "hpa"), r"web +Deployment/web +cpu: <unknown>/50%, memory: <unknown>/100Mi +1 +3 ")
        posts = [kind for method, _, kind in self.requests("autoscale", "deploy", "web", "--max=2", "--name=more")
                 if method == "POST"]
        self.assertEqual(posts, ["application/vnd.kubernetes.protobuf"])
        self.assertEqual(json.loads(self.kubectl("get", "--raw", f"/apis/autoscaling/v1/namespaces/{self.ns}/"
                                                                 "horizontalpodautoscalers/web"))["spec"]["maxReplicas"], 3)
