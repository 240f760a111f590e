"""kubectl 1.35, unchanged: delete in all its forms, what it waits for, and what goes along with owners."""
import json
import time

from harness.case import eventually
from kubectl_case import KubectlCase


class Delete(KubectlCase):
    def said(self, kind: str, *names: str) -> str:
        return "".join(f'{kind} "{name}" deleted from {self.ns} namespace\n' for name in names)

    def test_by_name_file_label_and_all(self):
        names = ["one", "two", "three", "four", "five", "six"]
        self.create(*[self.config_map(name, labels={"set": "odd" if number % 2 else "even"})
                      for number, name in enumerate(names)])
        self.assertEqual(self.kubectl("delete", "cm", "one"), self.said("configmap", "one"))
        self.assertEqual(self.kubectl("delete", "cm/two", "configmap/three"), self.said("configmap", "two", "three"))
        path = self.file("cm.json", self.config_map("four"))
        self.assertEqual(self.kubectl("delete", "-f", path), self.said("configmap", "four"))
        self.assertEqual(self.fails("delete", "-f", path),
                         f'Error from server (NotFound): error when deleting "{path}": configmaps "four" not found\n')
        self.assertEqual(self.kubectl("delete", "-f", path, "--ignore-not-found"), "")
        self.assertEqual(self.kubectl("delete", "cm", "-l", "set=odd"), self.said("configmap", "six"))
        self.assertEqual(self.both("delete", "cm", "-l", "set=odd"), ("No resources found\n", ""))
        self.assertEqual(self.kubectl("delete", "cm", "--field-selector=metadata.name=five", "-o", "name"), "configmap/five\n")
        self.create(self.pod("p"), self.pod("q"))
        self.assertEqual(self.kubectl("delete", "pods", "--all", "--now"), self.said("pod", "p", "q"))
        self.create(self.pod("p"), self.deployment(replicas=0))
        everything = self.kubectl("delete", "all", "--all")
        self.assertIn(self.said("pod", "p"), everything)
        self.assertIn(self.said("deployment.apps", "web"), everything)
        self.assertEqual(self.fails("delete", "cm", "nope"),
                         'Error from server (NotFound): configmaps "nope" not found\n')
        self.assertEqual(self.kubectl("delete", "cm", "nope", "--ignore-not-found"), "")
        self.assertIn("resource(s) were provided, but no name was specified", self.fails("delete", "cm"))

    def test_dry_runs_and_questions(self):
        self.create(self.config_map())
        self.assertEqual(self.kubectl("delete", "cm", "map", "--dry-run=client"),
                         f'configmap "map" deleted from {self.ns} namespace (dry run)\n')
        self.assertEqual(self.kubectl("delete", "cm", "map", "--dry-run=server"),
                         f'configmap "map" deleted from {self.ns} namespace (server dry run)\n')
        out = self.kubectl("delete", "-i", "cm", "map", input="n\n")
        self.assertIn("deletion is cancelled", out)
        self.assertEqual(self.kubectl("get", "cm", "map", "-o", "name"), "configmap/map\n")
        self.assertIn(self.said("configmap", "map"), self.kubectl("delete", "-i", "cm", "map", input="y\n"))
        self.create(self.config_map())
        self.assertEqual(self.kubectl("delete", "--interactive=false", "cm", "map"), self.said("configmap", "map"))

    def test_raw(self):
        self.create(self.config_map())
        answer = json.loads(self.kubectl("delete", "--raw", f"/api/v1/namespaces/{self.ns}/configmaps/map"))
        self.assertEqual((answer["kind"], answer["status"], answer["details"]["name"], answer["details"]["kind"]),
                         ("Status", "Success", "map", "configmaps"))
        self.assertTrue(answer["details"]["uid"])

    def test_it_waits_for_finalizers(self):
        self.create(self.config_map(finalizers=["example.com/hold"]))
        child = self.start("delete", "cm", "map")
        time.sleep(0.5)
        self.assertIsNone(child.poll())
        self.assertTrue(self.value("cm/map", ".metadata.deletionTimestamp"))
        self.assertIn("timed out waiting for the condition", self.fails("delete", "cm", "map", "--timeout=1s"))
        self.assertEqual(self.kubectl("delete", "cm", "map", "--wait=false"), self.said("configmap", "map"))
        self.kubectl("patch", "cm", "map", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        self.assertEqual(self.finished(child), self.said("configmap", "map"))

    def test_one_of_the_same_name_is_another(self):
        """`delete --wait` looks at the uid: that somebody makes the object anew does not hold it."""
        self.create(self.config_map(finalizers=["example.com/hold"]))
        child = self.start("delete", "cm", "map")
        self.api.wait("configmaps", self.ns, "map", lambda item: item["metadata"].get("deletionTimestamp"), 20)
        time.sleep(1)  # until kubectl watches, which nothing tells
        self.api.patch("configmaps", self.ns, "map", {"metadata": {"finalizers": None}})
        self.api.create("configmaps", self.ns, {"metadata": {"name": "map"}})
        self.assertEqual(self.finished(child), self.said("configmap", "map"))
        self.assertEqual(self.kubectl("get", "cm", "map", "-o", "name"), "configmap/map\n")

    def test_grace_and_force(self):
        self.make_node("n1")
        # A node with an agent of its own: nobody else ends its pods.
        self.api.patch("nodes", "", "n1", {"status": {"nodeInfo": {"kubeletVersion": "v1.35.0"}}}, sub="status")
        for name in ("a", "b", "c"):
            self.create(self.pod(name, nodeName="n1"))
        self.kubectl("delete", "pod", "a", "--wait=false")
        self.assertEqual(self.value("pod/a", ".metadata.deletionGracePeriodSeconds"), "30")
        self.kubectl("delete", "pod", "b", "--wait=false", "--grace-period=7")
        self.assertEqual(self.value("pod/b", ".metadata.deletionGracePeriodSeconds"), "7")
        self.kubectl("delete", "pod", "b", "--wait=false", "--now")
        self.assertEqual(self.value("pod/b", ".metadata.deletionGracePeriodSeconds"), "1")
        self.assertRegex(self.kubectl("get", "pod", "a"), r"a +0/1 +Terminating ")
        out, warning = self.both("delete", "pod", "a", "b", "c", "--force")
        self.assertEqual(out, "".join(f'pod "{name}" force deleted from {self.ns} namespace\n' for name in "abc"))
        self.assertIn("Warning: Immediate deletion does not wait for confirmation that the running resource has been "
                      "terminated.", warning)
        self.assertEqual(self.kubectl("get", "pods", "-o", "name"), "")

    def owned(self) -> list:
        return self.api.list("replicasets", self.ns)

    def test_cascades(self):
        def make():
            self.create(self.deployment())
            self.assertTrue(eventually(lambda: self.owned() and self.api.list("pods", self.ns)))
        make()
        self.kubectl("delete", "deploy", "web")
        self.assertTrue(eventually(lambda: not self.owned() and not self.api.list("pods", self.ns)))
        make()
        # In the foreground the owner goes last, so when kubectl is done nothing is left.
        self.kubectl("delete", "deploy", "web", "--cascade=foreground")
        self.assertEqual((self.owned(), self.api.list("pods", self.ns)), ([], []))
        make()
        self.kubectl("delete", "deploy", "web", "--cascade=orphan")
        self.assertTrue(eventually(lambda: all("ownerReferences" not in item["metadata"] for item in self.owned())))
        self.assertEqual(len(self.api.list("pods", self.ns)), 1)
        self.kubectl("delete", "rs", "--all", "--cascade=orphan")
        self.assertTrue(eventually(lambda: not self.owned()))
        self.assertEqual(len(self.api.list("pods", self.ns)), 1)

    def test_a_namespace(self):
        name = self.ns + "-more"
        self.kubectl("create", "ns", name)
        self.api.create("configmaps", name, self.config_map("held", finalizers=["example.com/hold"]))
        child = self.start("delete", "ns", name)
        self.assertTrue(eventually(lambda: "Terminating" in self.kubectl("get", "ns", name)))
        self.assertIn("because it is being terminated", self.fails("-n", name, "create", "cm", "late"))
        self.assertTrue(eventually(lambda: "example.com/hold in 1 resource instances" in self.value(
            f"ns/{name}", ".status.conditions[*].message")))
        self.assertEqual(sorted(self.value(f"ns/{name}", ".status.conditions[*].type").split()),
                         ["NamespaceContentRemaining", "NamespaceDeletionContentFailure", "NamespaceDeletionDiscoveryFailure",
                          "NamespaceDeletionGroupVersionParsingFailure", "NamespaceFinalizersRemaining"])
        self.assertIn("Some resources are remaining: configmaps. has 1 resource instances",
                      self.value(f"ns/{name}", ".status.conditions[*].message"))
        self.kubectl("-n", name, "patch", "cm", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        self.assertEqual(self.finished(child), f'namespace "{name}" deleted\n')
        self.assertIn("NotFound", self.fails("get", "ns", name))
