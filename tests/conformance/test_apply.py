"""kubectl 1.35, unchanged: apply with client-side merges, pruning and apply sets, kustomize, edit, replace, diff.
Server-side apply is in test_server_side_apply.py."""
import json
import pathlib
import re

from harness import tools
from kubectl_case import KubectlCase, lines


class Apply(KubectlCase):
    def apply(self, *objects: dict, args=(), **kwargs) -> str:
        body = objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.kubectl("apply", "-f", "-", *args, input=json.dumps(body), **kwargs)

    def everything(self) -> dict:
        """A Deployment with about every list and map that merges in a way of its own."""
        body = self.deployment()
        body["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
        body["metadata"]["labels"] = {"app": "web", "x": "y"}
        body["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
        spec = body["spec"]["template"]["spec"]
        spec["containers"] = [
            {"name": "main", "image": "nginx:1", "args": ["a", "b"], "resources": {"limits": {"cpu": "1"}},
             "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
             "ports": [{"containerPort": 80}, {"containerPort": 81}],
             "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}]},
            {"name": "side", "image": "side:1"}]
        spec["tolerations"] = [{"key": "a", "operator": "Exists"}]
        spec["volumes"] = [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]
        return body

    def test_every_directive_of_a_strategic_merge(self):
        first = self.everything()
        self.addCleanup(self.run_kubectl, "patch", "deploy", "web", "--type=merge",
                        "-p", '{"metadata":{"finalizers":null}}')
        self.assertEqual(self.apply(first), "deployment.apps/web created\n")
        self.assertEqual(self.apply(first), "deployment.apps/web unchanged\n")
        # Somebody else's additions stay.
        self.kubectl("patch", "deploy", "web", "-p", json.dumps({"spec": {"template": {"spec": {"containers": [
            {"name": "injected", "image": "i:1"}, {"name": "main", "env": [{"name": "Z", "value": "z"}]}]}}}}))
        second = self.everything()
        second["metadata"]["finalizers"] = ["example.com/a"]
        del second["metadata"]["labels"]["x"]
        second["spec"]["strategy"] = {"type": "Recreate"}
        spec = second["spec"]["template"]["spec"]
        spec["containers"] = [{"name": "main", "image": "nginx:1", "args": ["a"],
                               "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "2"}],
                               "ports": [{"containerPort": 80, "name": "web"}],
                               "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]
        spec["tolerations"] = [{"key": "b", "operator": "Exists"}]
        spec["volumes"] = [{"name": "v", "hostPath": {"path": "/x"}}]
        self.assertEqual(self.apply(second), "deployment.apps/web configured\n")
        live = self.json("get", "deploy", "web")
        self.assertEqual(live["metadata"]["finalizers"], ["example.com/a"])
        self.assertEqual(live["metadata"]["labels"], {"app": "web"})
        self.assertEqual(live["spec"]["strategy"], {"type": "Recreate"})
        spec = live["spec"]["template"]["spec"]
        self.assertEqual(sorted(c["name"] for c in spec["containers"]), ["injected", "main"])
        main = next(c for c in spec["containers"] if c["name"] == "main")
        self.assertEqual(main["args"], ["a"])
        self.assertEqual(main["resources"], {})
        self.assertEqual({e["name"]: e["value"] for e in main["env"]}, {"B": "3", "C": "2", "Z": "z"})
        self.assertEqual(main["ports"], [{"containerPort": 80, "name": "web", "protocol": "TCP"}])
        self.assertEqual([m["mountPath"] for m in main["volumeMounts"]], ["/v"])
        self.assertEqual(spec["tolerations"], [{"key": "b", "operator": "Exists"}])
        self.assertEqual(spec["volumes"], [{"name": "v", "hostPath": {"path": "/x", "type": ""}}])
        # With a container of somebody else in the list kubectl sends its order again, and nothing changes.
        version = self.value("deploy/web", ".metadata.generation")
        self.apply(second)
        self.assertEqual(self.value("deploy/web", ".metadata.generation"), version)

    def test_defaults_are_stable(self):
        """An apply of the same is "unchanged" for every kind whose fields the server fills in. (kubectl says
        "configured" of lists without merge keys that were filled in, and of every PodDisruptionBudget.)"""
        template = self.deployment()["spec"]["template"]
        once = {"metadata": {"labels": {"app": "x"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        selector = {"matchLabels": {"app": "web"}}
        meta = {"name": "x"}
        objects = [
            self.deployment(), self.pod("x"), self.config_map("x"),
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"a": "Yg=="}},
            {"apiVersion": "v1", "kind": "Service", "metadata": meta,
             "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "name": "h"}, {"port": 53, "protocol": "UDP", "name": "d"}]}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {"apiVersion": "v1", "kind": "LimitRange", "metadata": meta,
             "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}}]}},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta,
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta,
             "spec": {"serviceName": "x", "replicas": 0, "selector": selector, "template": template}},
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta,
             "spec": {"selector": selector, "template": template}},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta,
             "spec": {"replicas": 0, "selector": selector, "template": template}},
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"suspend": True, "template": once}},
            {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta,
             "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": once}}}},
            {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta,
             "spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}},
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta,
             "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80, "protocol": "TCP"}]}]}},
            {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta,
             "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "none", "apiVersion": "apps/v1"}, "maxReplicas": 2}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta,
             "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
             "roleRef": {"kind": "Role", "name": "x"},
             "subjects": [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}]},
        ]
        created = self.apply(*objects)
        self.assertEqual(len([line for line in lines(created) if line.endswith(" created")]), len(objects), created)
        again = self.apply(*objects)
        self.assertEqual([line for line in lines(again) if not line.endswith(" unchanged")], [], again)
        self.assertEqual(self.run_kubectl("diff", "-f", "-", input=json.dumps(
            {"apiVersion": "v1", "kind": "List", "items": objects})).stdout, "")

    def test_what_it_asks_for(self):
        body = json.dumps(self.config_map())

        def asked():
            return [(method, re.sub(r"\?.*", "", path)) for method, path, _ in
                    self.requests("apply", "-f", "-", input=body)
                    if "/configmaps" in path or path.startswith("/openapi/v2")]
        base = f"/api/v1/namespaces/{self.ns}/configmaps"
        self.assertEqual(asked(), [("GET", base + "/map"), ("POST", base)])
        # Everything that validation needs is in the documents of OpenAPI v3.
        self.assertEqual(asked()[0], ("GET", base + "/map"))

    def test_last_applied(self):
        self.apply(self.config_map())
        self.assertIn('data:\n  a: "1"\n', self.kubectl("apply", "view-last-applied", "cm", "map"))
        shown = json.loads(self.kubectl("apply", "view-last-applied", "cm/map", "-o", "json"))
        self.assertEqual(shown["data"], {"a": "1"})
        path = self.file("cm.json", self.config_map(data={"a": "1", "b": "2"}))
        self.assertEqual(self.kubectl("apply", "set-last-applied", "-f", path), "configmap/map configured\n")
        self.assertIn('b: "2"', self.kubectl("apply", "view-last-applied", "cm", "map"))
        env = self.editor("sed -i 's/b: \"2\"/b: \"3\"/' \"$1\"")
        self.assertEqual(self.kubectl("apply", "edit-last-applied", "cm/map", env=env), "configmap/map edited\n")
        self.assertIn('b: "3"', self.kubectl("apply", "view-last-applied", "cm", "map"))
        self.assertEqual(self.json("get", "cm", "map")["data"], {"a": "1"})
        self.create(self.config_map("bare"))
        self.assertEqual(self.kubectl("apply", "set-last-applied", "-f", self.file("x.json", self.config_map("bare")),
                                      "--create-annotation"), "configmap/bare configured\n")

    def test_warning_for_objects_that_create_made(self):
        self.create(self.config_map())
        out, warning = self.both("apply", "-f", "-", input=json.dumps(self.config_map(data={"a": "2"})))
        self.assertEqual(out, "configmap/map configured\n")
        self.assertIn("Warning: resource configmaps/map is missing the kubectl.kubernetes.io/last-applied-configuration",
                      warning)

    def test_dry_runs(self):
        self.assertEqual(self.apply(self.config_map(), args=["--dry-run=client"]), "configmap/map created (dry run)\n")
        self.assertEqual(self.apply(self.config_map(), args=["--dry-run=server"]),
                         "configmap/map created (server dry run)\n")
        self.assertIn('Error from server (NotFound): configmaps "map" not found', self.fails("get", "cm", "map"))
        self.apply(self.config_map())
        out = self.apply(self.config_map(data={"a": "2"}), args=["--dry-run=server", "-o", "jsonpath={.data.a}"])
        self.assertEqual(out, "2")
        self.assertEqual(self.value("cm/map", ".data.a"), "1")

    def test_validation(self):
        bad = dict(self.config_map(), bogus=1)
        self.assertIn('strict decoding error: unknown field "bogus"',
                      self.fails("apply", "-f", "-", input=json.dumps(bad)))
        out, warning = self.both("apply", "-f", "-", "--validate=warn", input=json.dumps(bad))
        self.assertEqual((out, warning), ("configmap/map created\n", 'Warning: unknown field "bogus"\n'))
        self.assertEqual(self.both("apply", "-f", "-", "--validate=false", input=json.dumps(bad))[1], "")

    def test_immutable_fields_and_force(self):
        self.apply(self.deployment(replicas=0))
        other = self.deployment(replicas=0)
        other["spec"]["selector"]["matchLabels"] = other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        error = self.fails("apply", "-f", "-", input=json.dumps(other))
        self.assertIn('The Deployment "web" is invalid: spec.selector: Invalid value: ', error)
        self.assertIn("field is immutable", error)
        uid = self.value("deploy/web", ".metadata.uid")
        self.assertEqual(self.apply(other, args=["--force"]), "deployment.apps/web configured\n")
        self.assertNotEqual(self.value("deploy/web", ".metadata.uid"), uid)

    def test_prune_by_label(self):
        one, two = (self.config_map(name, labels={"set": self.ns}) for name in ("one", "two"))
        self.apply(one, two)
        self.kubectl("create", "cm", "by-hand")
        self.kubectl("label", "cm", "by-hand", f"set={self.ns}")
        self.assertEqual(self.apply(one, args=["--prune", "-l", f"set={self.ns}"]),
                         "configmap/one unchanged\nconfigmap/two pruned\n")
        self.assertEqual(self.kubectl("get", "cm", "-l", f"set={self.ns}", "-o", "name"),
                         "configmap/by-hand\nconfigmap/one\n")
        self.assertEqual(self.apply(two, args=["--prune", "-l", f"set={self.ns}",
                                               "--prune-allowlist=core/v1/ConfigMap"]),
                         "configmap/two created\nconfigmap/one pruned\n")

    def test_apply_sets(self):
        env = {"KUBECTL_APPLYSET": "true"}
        args = ["--prune", "--applyset=tools"]
        one, two = self.config_map("one"), self.config_map("two")
        out = self.apply(one, two, args=args, env=env)
        self.assertEqual(out, "configmap/one created\nconfigmap/two created\n")
        parent = self.json("get", "secret", "tools")["metadata"]
        self.assertEqual(parent["annotations"]["applyset.kubernetes.io/contains-group-kinds"], "ConfigMap")
        self.assertIn("applyset.kubernetes.io/part-of", self.json("get", "cm", "one")["metadata"]["labels"])
        self.assertEqual(self.apply(one, args=args, env=env), "configmap/one unchanged\nconfigmap/two pruned\n")
        self.assertEqual(self.apply(one, two, args=args + ["--server-side"], env=env),
                         "configmap/one serverside-applied\nconfigmap/two serverside-applied\n")

    def kustomization(self) -> str:
        folder = self.folder()
        (folder / "cm.yaml").write_text(json.dumps(self.config_map()))
        (folder / "kustomization.yaml").write_text(
            "resources: [cm.yaml]\nnamePrefix: k-\nlabels: [{pairs: {by: kustomize}}]\n"
            "configMapGenerator: [{name: made, literals: [x=y]}]\n")
        return str(folder)

    def test_kustomize(self):
        folder = self.kustomization()
        built = self.kubectl("kustomize", folder)
        self.assertIn("name: k-map\n", built)
        self.assertIn("by: kustomize\n", built)
        out = self.kubectl("apply", "-k", folder)
        self.assertRegex(out, r"^configmap/k-made-[a-z0-9]+ created\nconfigmap/k-map created\n$")
        self.assertRegex(self.kubectl("get", "-k", folder, "-o", "name"), r"configmap/k-made-\w+\nconfigmap/k-map\n")
        self.assertIn("Name:         k-map", self.kubectl("describe", "-k", folder))
        self.assertEqual(self.run_kubectl("diff", "-k", folder).returncode, 0)
        self.assertIn('configmap "k-map" deleted', self.kubectl("delete", "-k", folder))


class Diff(KubectlCase):
    def diff(self, body, *args, env=None):
        done = self.run_kubectl("diff", "-f", "-", *args, input=json.dumps(body), env=env)
        return done.returncode, done.stdout, done.stderr

    def test_codes_and_lines(self):
        body = self.config_map()
        code, out, _ = self.diff(body)
        self.assertEqual(code, 1)
        self.assertIn('+  a: "1"', out)
        self.kubectl("apply", "-f", "-", input=json.dumps(body))
        self.assertEqual(self.diff(body)[0:2], (0, ""))
        for args in ([], ["--server-side", "--force-conflicts"]):
            code, out, errors = self.diff(self.config_map(data={"a": "2"}), *args)
            self.assertEqual(code, 1, errors)
            self.assertIn('-  a: "1"\n+  a: "2"\n', out)
        self.assertEqual(self.value("cm/map", ".data.a"), "1")
        code, out, _ = self.diff(self.config_map(data={"a": "2"}), env={"KUBECTL_EXTERNAL_DIFF": "diff -q -r"})
        self.assertEqual(code, 1)
        self.assertIn("differ", out)
        code, _, errors = self.diff(dict(body, kind="Nope"))
        self.assertGreater(code, 1)
        self.assertIn('no matches for kind "Nope"', errors)

    def test_of_defaults_and_secrets(self):
        deployment = self.deployment(replicas=0)
        self.kubectl("apply", "-f", "-", input=json.dumps(deployment))
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
        code, out, _ = self.diff(deployment)
        self.assertEqual(code, 1)
        changed = [line for line in lines(out) if re.match(r"[-+] ", line)]
        self.assertEqual([re.sub(r" +", " ", line) for line in changed],
                         ["- generation: 1", "+ generation: 2", "- - image: nginx:1", "+ - image: nginx:2"])
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"p": "b25l"}}
        self.kubectl("apply", "-f", "-", input=json.dumps(secret))
        secret["data"]["p"] = "dHdv"
        out = self.diff(secret)[1]
        self.assertIn("*** (after)", out)
        self.assertNotIn("+  p: dHdv", out)

    def test_prune(self):
        body = self.config_map(labels={"set": self.ns})
        self.kubectl("apply", "-f", "-", input=json.dumps(body))
        other = self.config_map("other", labels={"set": self.ns})
        code, out, errors = self.diff(other, "--prune", "-l", f"set={self.ns}")
        self.assertEqual(code, 1, errors)
        self.assertIn('-  a: "1"', out)
        self.assertIn("+  name: other", out)


class Edit(KubectlCase):
    def test_edit(self):
        self.create(self.deployment(replicas=0))
        env = self.editor("sed -i 's/image: nginx:1/image: nginx:2/' \"$1\"")
        self.assertEqual(self.kubectl("edit", "deploy", "web", env=env), "deployment.apps/web edited\n")
        self.assertEqual(self.value("deploy/web", ".spec.template.spec.containers[0].image"), "nginx:2")
        self.assertEqual(self.both("edit", "deploy", "web", env=env), ("", "Edit cancelled, no changes made.\n"))
        env = self.editor("sed -i 's/\"nginx:2\"/\"nginx:3\"/' \"$1\"")
        out = self.kubectl("edit", "deploy/web", "-o", "json", "--output-patch", env=env)
        self.assertIn('Patch: {"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"main"}],'
                      '"containers":[{"image":"nginx:3","name":"main"}]}}}}', out)

    def test_several_and_subresource(self):
        self.create(self.config_map("one"), self.config_map("two"), self.pod("p"))
        env = self.editor("sed -i 's/a: \"1\"/a: edited/' \"$1\"")
        self.assertEqual(self.kubectl("edit", "cm/one", "cm/two", env=env), "configmap/one edited\nconfigmap/two edited\n")
        env = self.editor("sed -i 's/phase: Pending/phase: Failed/; s/priority: 0/priority: 7/' \"$1\"")
        self.assertEqual(self.kubectl("edit", "pod", "p", "--subresource=status", env=env), "pod/p edited\n")
        self.assertEqual(self.value("pod/p", ".status.phase"), "Failed")
        self.assertEqual(self.value("pod/p", ".spec.priority"), "0")

    def test_what_the_server_refuses_is_opened_again(self):
        """The first save is refused; the editor is then shown why, and mends it."""
        self.create(self.deployment(replicas=0))
        seen = self.folder() / "seen"
        env = self.editor(f"if [ ! -e {seen} ]; then sed -i 's/  replicas: 0/  replicas: -1/' \"$1\"; touch {seen}; "
                          f"else cp \"$1\" {seen}; sed -i 's/  replicas: -1/  replicas: 2/' \"$1\"; fi")
        out, errors = self.both("edit", "deploy", "web", env=env)
        self.assertEqual(out, "deployment.apps/web edited\n")
        self.assertIn('deployments.apps "web" was not valid:\n# * spec.replicas: Invalid value: -1: must be greater than '
                      "or equal to 0\n", seen.read_text())
        self.assertEqual(self.value("deploy/web", ".spec.replicas"), "2")
        # Saving the same mistake twice gives up, keeps the file and ends with 1.
        env = self.editor("sed -i 's/  replicas: 2/  replicas: -1/' \"$1\"")
        errors = self.fails("edit", "deploy", "web", env=env)
        self.assertIn("Edit cancelled, no valid changes were saved", errors)
        kept = re.search(r'A copy of your changes has been stored to "([^"]+)"', errors).group(1)
        self.assertIn("replicas: -1", pathlib.Path(kept).read_text())

    def test_somebody_else_was_quicker(self):
        self.create(self.config_map())
        change = json.dumps({"data": {"b": "2"}})
        env = self.editor(f"{tools.kubectl()} -n {self.ns} patch cm map -p '{change}' >/dev/null; "
                          "sed -i 's/a: \"1\"/a: edited/' \"$1\"")
        self.kubectl("edit", "cm", "map", env=env)
        self.assertEqual(self.json("get", "cm", "map")["data"], {"a": "edited", "b": "2"})


class Replace(KubectlCase):
    def replace(self, body, *args):
        return self.kubectl("replace", "-f", "-", *args, input=json.dumps(body))

    def test_replace(self):
        self.create(self.config_map(data={"a": "1", "b": "2"}))
        uid = self.value("cm/map", ".metadata.uid")
        self.assertEqual(self.replace(self.config_map()), "configmap/map replaced\n")
        live = self.json("get", "cm", "map")
        self.assertEqual((live["data"], live["metadata"]["uid"]), ({"a": "1"}, uid))
        stale = dict(live, data={"a": "3"})
        self.replace(self.config_map(data={"a": "2"}))
        self.assertIn('Operation cannot be fulfilled on configmaps "map": the object has been modified; please apply your '
                      "changes to the latest version and try again",
                      self.fails("replace", "-f", "-", input=json.dumps(stale)))
        self.assertIn('configmaps "nope" not found',
                      self.fails("replace", "-f", "-", input=json.dumps(self.config_map("nope"))))
        self.assertEqual(self.replace(self.config_map(data={"a": "9"}), "--dry-run=server"),
                         "configmap/map replaced (server dry run)\n")

    def test_force(self):
        self.create(self.config_map())
        uid = self.value("cm/map", ".metadata.uid")
        out = self.replace(self.config_map(data={"x": "y"}), "--force")
        self.assertEqual(out, f'configmap "map" deleted from {self.ns} namespace\nconfigmap/map replaced\n')
        self.assertNotEqual(self.value("cm/map", ".metadata.uid"), uid)

    def test_subresource_and_raw(self):
        self.create(self.deployment(replicas=0, paused=True))
        live = self.json("get", "deploy", "web")
        live["status"]["replicas"] = 7
        live["spec"]["replicas"] = 5
        self.assertEqual(self.replace(live, "--subresource=status"), "deployment.apps/web replaced\n")
        self.assertEqual(self.value("deploy/web", ".spec.replicas"), "0")
        # --raw sends a chunked body without Content-Type.
        self.create(self.config_map())
        path = f"/api/v1/namespaces/{self.ns}/configmaps/map"
        answer = self.kubectl("replace", "--raw", path, "-f", "-", input=json.dumps(self.config_map(data={"r": "aw"})))
        self.assertEqual(json.loads(answer)["data"], {"r": "aw"})
