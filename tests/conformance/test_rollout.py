"""kubectl 1.35, unchanged: rollout status, history, undo, pause, resume and restart. The test stands in for the kubelet,
so what the controllers do for a rollout happens for real."""
import json
import threading

from harness.api import Api
from harness.case import eventually
from kubectl_case import KubectlCase


class Rollout(KubectlCase):
    def setUp(self):
        super().setUp()
        self.make_node("n1")

    def kubelet(self):
        """Makes bound pods run until the test ends."""
        over = threading.Event()
        api = Api(self.daemon.kubeconfig)  # a connection of its own

        def run():
            while not over.wait(0.05):
                try:
                    for pod in api.list("pods", self.ns, fields="spec.nodeName=n1,status.phase=Pending"):
                        api.patch("pods", self.ns, pod["metadata"]["name"], {"status": {
                            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}, sub="status")
                except Exception:  # deleted meanwhile
                    pass
        thread = threading.Thread(target=run)
        thread.start()

        def stop():
            over.set()
            thread.join()
            api.close()
        self.addCleanup(stop)

    def done(self) -> None:
        self.assertIn('deployment "web" successfully rolled out\n',
                      self.kubectl("rollout", "status", "deploy/web", "--timeout=30s"))

    def image(self) -> str:
        return self.value("deploy/web", ".spec.template.spec.containers[0].image")

    def test_a_deployments_life(self):
        self.kubelet()
        body = self.deployment(replicas=2)
        body["metadata"]["annotations"] = {"kubernetes.io/change-cause": "the first"}
        self.create(body)
        self.done()
        self.kubectl("set", "image", "deploy/web", "main=nginx:2")
        self.kubectl("annotate", "deploy/web", "kubernetes.io/change-cause=the second", "--overwrite")
        self.done()
        self.assertRegex(self.kubectl("rollout", "history", "deploy/web"),
                         r"deployment.apps/web \nREVISION +CHANGE-CAUSE\n1 +the first\n2 +the second\n")
        shown = self.kubectl("rollout", "history", "deploy/web", "--revision=1")
        self.assertIn("deployment.apps/web with revision #1\nPod Template:", shown)
        self.assertIn("nginx:1", shown)
        self.assertIn("unable to find the specified revision", self.fails("rollout", "history", "deploy/web", "--revision=9"))
        self.assertEqual(self.kubectl("rollout", "undo", "deploy/web"), "deployment.apps/web rolled back\n")
        self.done()
        self.assertEqual(self.image(), "nginx:1")
        self.assertEqual(self.value("deploy/web", ".metadata.annotations.deployment\\.kubernetes\\.io/revision"), "3")
        self.assertRegex(self.kubectl("rollout", "history", "deploy/web"), r"CHANGE-CAUSE\n2 +the second\n3 +the first\n")
        self.assertEqual(self.kubectl("rollout", "undo", "deploy/web", "--to-revision=2"),
                         "deployment.apps/web rolled back\n")
        self.assertEqual(self.image(), "nginx:2")
        self.done()
        self.assertIn("skipped rollback (current template already matches revision 4)",
                      self.kubectl("rollout", "undo", "deploy/web", "--to-revision=4"))
        self.assertIn("unable to find specified revision 9",
                      self.fails("rollout", "undo", "deploy/web", "--to-revision=9"))
        self.assertIn("nginx:1", self.kubectl("rollout", "undo", "deploy/web", "--dry-run=client"))
        self.assertEqual(self.kubectl("rollout", "undo", "deploy/web", "--dry-run=server"),
                         "deployment.apps/web rolled back (server dry run)\n")
        self.assertEqual(self.image(), "nginx:2")

    def test_status_follows_until_it_is_done(self):
        self.create(self.deployment(replicas=2))
        child = self.start("rollout", "status", "deploy/web")
        self.assertIn("Waiting for deployment", self.line(child))
        self.assertIn("Waiting for deployment \"web\" rollout to finish: 0 of 2 updated replicas are available...",
                      self.kubectl("rollout", "status", "deploy/web", "--watch=false"))
        self.assertIn("timed out waiting for the condition",
                      self.fails("rollout", "status", "deploy/web", "--timeout=1s"))
        self.kubelet()
        self.assertIn("successfully rolled out", self.finished(child))
        self.assertIn("successfully rolled out", self.kubectl("rollout", "status", "deploy/web", "--revision=1"))
        self.assertIn('desired revision (9) is different from the running revision (1)',
                      self.fails("rollout", "status", "deploy/web", "--revision=9"))

    def test_a_deadline_that_passes_is_an_error(self):
        self.create(self.deployment(replicas=1, progressDeadlineSeconds=1))
        self.assertIn('error: deployment "web" exceeded its progress deadline',
                      self.fails("rollout", "status", "deploy/web", "--timeout=30s"))

    def test_pause_and_resume(self):
        self.kubelet()
        self.create(self.deployment(replicas=1))
        self.done()
        self.assertEqual(self.kubectl("rollout", "pause", "deploy/web"), "deployment.apps/web paused\n")
        self.assertIn("deployments.apps \"web\" is already paused", self.fails("rollout", "pause", "deploy/web"))
        self.kubectl("set", "image", "deploy/web", "main=nginx:2")
        self.assertIn("can't restart paused deployment", self.fails("rollout", "restart", "deploy/web"))
        self.assertIn("cannot rollback a paused deployment", self.fails("rollout", "undo", "deploy/web", "--to-revision=1"))
        self.assertEqual(len(self.api.list("replicasets", self.ns)), 1)
        self.assertEqual(self.kubectl("rollout", "resume", "deploy/web"), "deployment.apps/web resumed\n")
        self.assertIn("is not paused", self.fails("rollout", "resume", "deploy/web"))
        self.done()
        self.assertTrue(eventually(lambda: len(self.api.list("replicasets", self.ns)) == 2))

    def test_restart(self):
        self.kubelet()
        self.create(self.deployment(replicas=2))
        self.done()
        before = set(self.value("pods", ".items[*].metadata.name").split())
        self.assertEqual(self.kubectl("rollout", "restart", "deploy/web"), "deployment.apps/web restarted\n")
        self.done()
        self.assertTrue(eventually(lambda: len(self.api.list("pods", self.ns)) == 2))
        self.assertFalse(before & set(self.value("pods", ".items[*].metadata.name").split()))
        self.assertTrue(self.value("deploy/web", ".spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt"))
        # The time of a restart counts whole seconds, so two restarts within one are the same.
        self.assertTrue(eventually(lambda: self.run_kubectl("rollout", "restart", "deploy", "-l", "app=web").stdout
                                   == "deployment.apps/web restarted\n"))

    def test_stateful_and_daemon_sets(self):
        """Their history is in ControllerRevisions; two of them are written here as a controller would."""
        template, selector = self.deployment()["spec"]["template"], {"matchLabels": {"app": "web"}}
        for kind, short, spec in (("StatefulSet", "sts", {"serviceName": "x", "replicas": 0}),
                                  ("DaemonSet", "ds", {"selector": {"matchLabels": {"app": "web"}}})):
            self.create({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "x"},
                         "spec": {"selector": selector, "template": template, **spec}})
            what = f"{kind.lower()}.apps/x"
            owner = {"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": self.value(what, ".metadata.uid"),
                     "controller": True, "blockOwnerDeletion": True}
            for number in (101, 102):
                old = json.loads(json.dumps(template))
                old["spec"]["containers"][0]["image"] = f"nginx:{number}"
                self.create({"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": number,
                             "metadata": {"name": f"{short}-{number}", "labels": {"app": "web"}, "ownerReferences": [owner],
                                          "annotations": {"kubernetes.io/change-cause": f"cause {number}"}},
                             "data": {"spec": {"template": dict(old, **{"$patch": "replace"})}}})
            self.assertRegex(self.kubectl("rollout", "history", what), r"101 +cause 101\n102 +cause 102\n")
            self.assertIn("nginx:101", self.kubectl("rollout", "history", what, "--revision=101"))
            self.assertEqual(self.kubectl("rollout", "undo", what, "--to-revision=101"), f"{what} rolled back\n")
            self.assertEqual(self.value(what, ".spec.template.spec.containers[0].image"), "nginx:101")
            self.assertEqual(self.kubectl("rollout", "restart", what), f"{what} restarted\n")
            self.assertTrue(self.value(what, ".spec.template.metadata.annotations"))
            self.assertIn("pausing is not supported", self.fails("rollout", "pause", what))
            # What the status says decides; there are no pods to wait for.
            live = self.json("get", what)
            self.kubectl("patch", what, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
                "observedGeneration": live["metadata"]["generation"], "currentRevision": "r", "updateRevision": "r",
                "replicas": 0, "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0,
                "numberReady": 0}}))
            self.assertRegex(self.kubectl("rollout", "status", what, "--timeout=20s"),
                             r"partitioned roll out complete: 0 new pods have been updated|daemon set \"x\" successfully rolled out")

    def test_of_what_is_not_there(self):
        for command in ("status", "history", "undo", "restart", "pause", "resume"):
            self.assertIn('deployments.apps "nope" not found', self.fails("rollout", command, "deploy/nope"), command)
        self.assertIn("no status viewer has been implemented for Namespace", self.fails("rollout", "status", "ns/default"))
