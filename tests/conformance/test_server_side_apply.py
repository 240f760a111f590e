"""kubectl 1.35, unchanged, and field ownership: server-side apply, conflicts, migration, managedFields."""
import json
import pathlib

from harness.case import ClusterCase


class ServerSideApply(ClusterCase):
    with_node = False

    def kubectl(self, *args, **kwargs):
        return self.daemon.kubectl("-n", self.ns, *args, **kwargs)

    def apply(self, body: dict, *args, **kwargs):
        return self.kubectl("apply", "--server-side", "-f", "-", *args, input=json.dumps(body), **kwargs)

    def client_apply(self, body: dict):
        return self.kubectl("apply", "-f", "-", input=json.dumps(body))

    def config_map(self, data: dict, name: str = "map") -> dict:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}

    def deployment(self, **spec) -> dict:
        labels = {"app": "web"}
        pod = {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": labels},
                "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                                                                           "spec": pod}, **spec}}

    def managers(self, kind: str, name: str) -> dict:
        shown = self.kubectl("get", kind, name, "-o", "json", "--show-managed-fields").stdout
        return {(entry["manager"], entry["operation"], entry.get("subresource", "")): entry
                for entry in json.loads(shown)["metadata"].get("managedFields", [])}

    def get(self, kind: str, name: str) -> dict:
        return json.loads(self.kubectl("get", kind, name, "-o", "json").stdout)

    def test_apply_again_and_drop(self):
        self.assertIn("configmap/map serverside-applied", self.apply(self.config_map({"a": "1", "b": "2"})).stdout)
        before = self.get("configmap", "map")["metadata"]["resourceVersion"]
        self.apply(self.config_map({"a": "1", "b": "2"}))
        self.assertEqual(self.get("configmap", "map")["metadata"]["resourceVersion"], before)
        self.apply(self.config_map({"a": "1"}))
        self.assertEqual(self.get("configmap", "map")["data"], {"a": "1"})
        entry = self.managers("configmap", "map")[("kubectl", "Apply", "")]
        self.assertEqual(entry["fieldsV1"], {"f:data": {"f:a": {}}})
        self.assertEqual(entry["apiVersion"], "v1")

    def test_conflict_and_force(self):
        self.apply(self.deployment(replicas=0), "--field-manager=gitops")
        refused = self.apply(self.deployment(replicas=3), check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn('Apply failed with 1 conflict: conflict with "gitops": .spec.replicas', refused.stderr)
        self.assertIn("--force-conflicts", refused.stderr)
        self.apply(self.deployment(replicas=3), "--force-conflicts")
        self.assertEqual(self.get("deployment", "web")["spec"]["replicas"], 3)
        theirs = self.managers("deployment", "web")[("gitops", "Apply", "")]
        self.assertNotIn("f:replicas", theirs["fieldsV1"]["f:spec"])

    def test_scale_is_its_own_subresource(self):
        self.apply(self.deployment(replicas=0))
        self.kubectl("scale", "deployment/web", "--replicas=2")
        entry = self.managers("deployment", "web")[("kubectl", "Update", "scale")]
        self.assertEqual(entry["fieldsV1"], {"f:spec": {"f:replicas": {}}})
        refused = self.apply(self.deployment(replicas=0), check=False)
        self.assertIn('conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
                      refused.stderr)
        # Whoever leaves the count out leaves it alone.
        self.apply(self.deployment())
        self.assertEqual(self.get("deployment", "web")["spec"]["replicas"], 2)

    def test_controllers_own_the_status(self):
        self.apply(self.deployment(replicas=0))
        self.api.wait("deployments", self.ns, "web", lambda d: d and d.get("status", {}).get("observedGeneration"),
                      20, "observed")
        entry = self.managers("deployment", "web")[("kube-controller-manager", "Update", "status")]
        self.assertIn("f:status", entry["fieldsV1"])
        self.assertNotIn("f:spec", entry["fieldsV1"])

    def test_diff(self):
        self.apply(self.config_map({"a": "1"}))
        same = self.kubectl("diff", "--server-side", "-f", "-", input=json.dumps(self.config_map({"a": "1"})),
                            check=False)
        self.assertEqual(same.returncode, 0, same.stdout + same.stderr)
        other = self.kubectl("diff", "--server-side", "-f", "-", input=json.dumps(self.config_map({"a": "2"})),
                             check=False)
        self.assertEqual(other.returncode, 1, other.stderr)
        self.assertIn('+  a: "2"', other.stdout)
        self.assertEqual(self.get("configmap", "map")["data"], {"a": "1"})

    def test_migration_from_client_side(self):
        self.client_apply(self.config_map({"a": "1", "b": "2"}))
        self.assertIn(("kubectl-client-side-apply", "Update", ""), self.managers("configmap", "map"))
        done = self.apply(self.config_map({"a": "2"}))
        self.assertIn("serverside-applied", done.stdout)
        managers = self.managers("configmap", "map")
        self.assertNotIn(("kubectl-client-side-apply", "Update", ""), managers)
        self.assertIn(("kubectl", "Apply", ""), managers)
        # What client-side apply had set and nobody wants any more is gone.
        self.assertEqual(self.get("configmap", "map")["data"], {"a": "2"})
        # And back again: the annotation has followed.
        self.client_apply(self.config_map({"a": "3"}))
        self.assertEqual(self.get("configmap", "map")["data"], {"a": "3"})

    def test_edit_label_and_shown_fields(self):
        self.kubectl("create", "configmap", "map", "--from-literal=a=1")
        self.kubectl("label", "configmap", "map", "x=y")
        editor = pathlib.Path(self.daemon.folder, "editor")
        editor.write_text("#!/bin/sh\nexec sed -i 's/^  a: .*/  a: edited/' \"$1\"\n")
        editor.chmod(0o755)
        environment = self.daemon.environment
        self.daemon.environment = lambda: dict(environment(), KUBE_EDITOR=str(editor))
        self.addCleanup(setattr, self.daemon, "environment", environment)
        self.kubectl("patch", "configmap", "map", "--type=merge", "-p", '{"data":{"b":"2"}}')
        managers = self.managers("configmap", "map")
        self.assertEqual(set(managers), {("kubectl-create", "Update", ""), ("kubectl-label", "Update", ""),
                                         ("kubectl-patch", "Update", "")})
        self.assertEqual(managers[("kubectl-patch", "Update", "")]["fieldsV1"], {"f:data": {"f:b": {}}})
        self.kubectl("edit", "configmap", "map")
        self.assertIn(("kubectl-edit", "Update", ""), self.managers("configmap", "map"))
        self.assertNotIn("managedFields", self.kubectl("get", "configmap", "map", "-o", "yaml").stdout)

    def test_unknown_fields(self):
        body = self.deployment(replica=1)
        refused = self.apply(body, "--validate=ignore", check=False)
        self.assertIn(f"failed to create typed patch object ({self.ns}/web; apps/v1, Kind=Deployment): "
                      ".spec.replica: field not declared in schema", refused.stderr)

    def test_dry_run(self):
        done = self.apply(self.config_map({"a": "1"}), "--dry-run=server")
        self.assertIn("serverside-applied (server dry run)", done.stdout)
        self.assertEqual(self.kubectl("get", "configmap", "map", "--ignore-not-found").stdout, "")
