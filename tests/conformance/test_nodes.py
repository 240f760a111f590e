"""kubectl 1.35, unchanged: cordon, uncordon, drain, taint and what get shows of nodes. Nodes are made by hand; budgets and
evictions are in test_eviction.py."""
from harness.case import eventually
from kubectl_case import KubectlCase


class Nodes(KubectlCase):
    def setUp(self):
        super().setUp()
        self.make_node("n1", labels={"zone": "a", "node-role.kubernetes.io/worker": ""})
        self.make_node("n2", labels={"zone": "b"})

    def test_cordon(self):
        self.assertEqual(self.kubectl("cordon", "n1"), "node/n1 cordoned\n")
        self.assertEqual(self.kubectl("cordon", "n1"), "node/n1 already cordoned\n")
        self.assertRegex(self.kubectl("get", "node", "n1"), r"n1 +Ready,SchedulingDisabled +worker ")
        self.assertEqual(self.kubectl("get", "nodes", "--field-selector=spec.unschedulable=true", "-o", "name"), "node/n1\n")
        self.create(self.pod("p"))
        self.assertTrue(eventually(lambda: self.value("pod/p", ".spec.nodeName")))
        self.assertEqual(self.value("pod/p", ".spec.nodeName"), "n2")
        self.assertEqual(self.kubectl("uncordon", "n1"), "node/n1 uncordoned\n")
        self.assertEqual(self.kubectl("uncordon", "n1"), "node/n1 already uncordoned\n")
        self.assertEqual(self.kubectl("cordon", "-l", "zone in (a,b)"), "node/n1 cordoned\nnode/n2 cordoned\n")
        self.assertEqual(self.kubectl("cordon", "n1", "--dry-run=server"), "node/n1 already cordoned (server dry run)\n")
        self.assertIn('nodes "nope" not found', self.fails("cordon", "nope"))

    def test_taint(self):
        self.assertEqual(self.kubectl("taint", "node", "n1", "a=b:NoSchedule", "c:PreferNoSchedule"), "node/n1 tainted\n")
        self.assertEqual(sorted(t["key"] for t in self.json("get", "node", "n1")["spec"]["taints"]), ["a", "c"])
        self.assertIn("already has a taint(s) with same effect(s) and --overwrite is false",
                      self.fails("taint", "node", "n1", "a=z:NoSchedule"))
        self.assertEqual(self.kubectl("taint", "node", "n1", "a=z:NoSchedule", "--overwrite"), "node/n1 modified\n")
        self.assertEqual(self.kubectl("taint", "nodes", "-l", "zone=b", "x=y:NoExecute"), "node/n2 tainted\n")
        self.assertEqual(self.kubectl("taint", "node", "n1", "a:NoSchedule-"), "node/n1 untainted\n")
        self.assertEqual(self.kubectl("taint", "nodes", "--all", "z:NoSchedule"), "node/n1 tainted\nnode/n2 tainted\n")
        self.assertEqual(self.kubectl("taint", "nodes", "--all", "z-"), "node/n1 untainted\nnode/n2 untainted\n")
        self.assertEqual(self.kubectl("taint", "nodes", "n1", "c-"), "node/n1 untainted\n")
        self.assertNotIn("taints", self.json("get", "node", "n1")["spec"])
        self.assertIn('taint "c" not found', self.fails("taint", "node", "n1", "c-"))
        self.assertIn("invalid taint effect", self.fails("taint", "node", "n1", "a=b:Nope"))

    def test_drain(self):
        self.kubectl("cordon", "n2")
        template = self.deployment()["spec"]["template"]
        self.create(self.deployment(replicas=2), self.pod("bare"),
                    {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
                     "spec": {"selector": {"matchLabels": {"app": "d"}},
                              "template": dict(template, metadata={"labels": {"app": "d"}})}},
                    self.pod("scratch", volumes=[{"name": "v", "emptyDir": {}}]))
        self.assertTrue(eventually(lambda: self.value("pods", ".items[*].spec.nodeName").split().count("n1") >= 4))
        daemon_set = self.json("get", "ds", "d")["metadata"]
        if not [pod for pod in self.api.list("pods", self.ns) if pod["metadata"]["name"].startswith("d-")]:
            # A DaemonSet without its controller: the test makes its pod.
            pod = self.pod("d-1", labels={"app": "d"}, nodeName="n1")
            pod["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d",
                                                   "uid": daemon_set["uid"], "controller": True}]
            self.create(pod)
        error = self.fails("drain", "n1")
        self.assertIn("node/n1 cordoned", self.run_kubectl("drain", "n1").stdout.replace("already cordoned", "cordoned"))
        for text in ("cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)",
                     "cannot delete Pods that declare no controller (use --force to override)",
                     "cannot delete Pods with local storage (use --delete-emptydir-data to override)"):
            self.assertIn(text, error)
        out = self.kubectl("drain", "n1", "--dry-run=server", "--ignore-daemonsets", "--force", "--delete-emptydir-data")
        self.assertIn("evicting pod", out)
        self.assertIn("bare", self.kubectl("get", "pods", "-o", "name"))
        done, warnings = self.both("drain", "n1", "--ignore-daemonsets", "--force", "--delete-emptydir-data",
                                   "--pod-selector=app!=web", "--timeout=20s")
        self.assertIn("node/n1 drained", done)
        self.assertIn("ignoring DaemonSet-managed Pods", warnings)
        self.assertNotIn("pod/bare", self.kubectl("get", "pods", "-o", "name"))
        self.assertIn("pod/web-", self.kubectl("get", "pods", "-o", "name"))
        # Without evictions: plain deletions, whose options are protobuf.
        asked = self.requests("drain", "n1", "--ignore-daemonsets", "--disable-eviction", "--timeout=20s",
                              "--grace-period=0")
        deletes = [kind for method, _, kind in asked if method == "DELETE"]
        self.assertEqual(set(deletes), {"application/vnd.kubernetes.protobuf"}, asked)
        self.assertEqual(self.kubectl("get", "pods", "--field-selector=spec.nodeName=n1", "-o", "name"), "pod/d-1\n")
        self.kubectl("uncordon", "n1", "n2")

    def test_top_without_an_agent(self):
        """Metrics come from this machine's node; nodes made by hand have none."""
        self.assertIn("no node agent", self.fails("top", "nodes"))
        self.assertIn("no node agent", self.fails("top", "pods"))
