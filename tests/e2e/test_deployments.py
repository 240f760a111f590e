"""Deployments: rollout, undo, scale, pause, failing images, adoption and garbage collection."""
import unittest

from harness import tools
from harness.api import STRATEGIC, condition_is
from harness.case import ClusterCase


class Deployments(ClusterCase):
    images = (tools.IMAGE, tools.IMAGE_2)

    def set_env(self, name: str, value: str):
        return self.api.patch("deployments", self.ns, name, {"spec": {"template": {"spec": {"containers": [
            {"name": "main", "env": [{"name": "VERSION", "value": value}]}]}}}}, STRATEGIC)

    def replica_sets(self) -> list:
        return sorted(self.api.list("replicasets", self.ns),
                      key=lambda item: int(item["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))

    def test_rollout_keeps_to_max_surge_and_max_unavailable(self):
        self.web_deployment("web", 3, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
        self.wait_deployment("web")
        import threading
        worst = {"pods": 0, "ready": 99}
        stop = threading.Event()
        from harness.api import Api, pod_ready

        def observe():
            api = Api(self.daemon.kubeconfig)
            while not stop.is_set():
                pods = [pod for pod in api.list("pods", self.ns) if "deletionTimestamp" not in pod["metadata"]]
                worst["pods"] = max(worst["pods"], len(pods))
                worst["ready"] = min(worst["ready"], sum(map(pod_ready, pods)))
            api.close()
        thread = threading.Thread(target=observe)
        thread.start()
        try:
            self.set_env("web", "2")
            done = self.wait_deployment("web")
        finally:
            stop.set()
            thread.join()
        self.assertLessEqual(worst["pods"], 4)
        self.assertGreaterEqual(worst["ready"], 3)
        self.assertTrue(condition_is(done, "Available"))
        progressing = next(c for c in done["status"]["conditions"] if c["type"] == "Progressing")
        self.assertEqual(progressing["reason"], "NewReplicaSetAvailable")
        old, new = self.replica_sets()
        self.assertEqual((old["spec"]["replicas"], new["spec"]["replicas"]), (0, 3))

    def test_recreate(self):
        self.web_deployment("web", 2, strategy={"type": "Recreate"})
        self.wait_deployment("web")
        self.set_env("web", "2")
        self.wait_deployment("web")
        self.assertEqual([item["spec"]["replicas"] for item in self.replica_sets()], [0, 2])

    def test_scale_up_down_and_to_zero(self):
        self.web_deployment("web", 1)
        self.wait_deployment("web")
        for count in (4, 2, 0):
            self.api.patch("deployments", self.ns, "web", {"spec": {"replicas": count}}, sub="scale")
            self.wait_deployment("web")
            self.api.wait_list("pods", self.ns, lambda pods, n=count: len(pods) == n, 30, what=f"{count} pods")

    def test_pause_holds_a_rollout(self):
        self.web_deployment("web", 1)
        self.wait_deployment("web")
        self.api.patch("deployments", self.ns, "web", {"spec": {"paused": True}})
        changed = self.set_env("web", "2")
        self.api.wait("deployments", self.ns, "web",
                      lambda item: item["status"]["observedGeneration"] >= changed["metadata"]["generation"], 10)
        self.assertEqual(len(self.replica_sets()), 1)
        self.api.patch("deployments", self.ns, "web", {"spec": {"paused": None}})
        self.wait_deployment("web")
        self.assertEqual(len(self.replica_sets()), 2)

    def test_unknown_image_leaves_the_rest_serving(self):
        self.web_deployment("web", 2, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                            progressDeadlineSeconds=4)
        self.wait_deployment("web")
        # Nothing listens there, so the registry's answer is a refused connection.
        self.api.patch("deployments", self.ns, "web", {"spec": {"template": {"spec": {"containers": [
            {"name": "main", "image": "127.0.0.1:9/none:1"}]}}}}, STRATEGIC)

        def waiting(reason):
            def match(pods):
                return any(status.get("state", {}).get("waiting", {}).get("reason") == reason
                           for pod in pods for status in pod["status"].get("containerStatuses", []))
            return match
        self.api.wait_list("pods", self.ns, waiting("ErrImagePull"), 20, what="ErrImagePull")
        self.api.wait_list("pods", self.ns, waiting("ImagePullBackOff"), 40, what="ImagePullBackOff")
        found = self.api.wait_list("events", self.ns, lambda items: any(
            "Failed to pull image \"127.0.0.1:9/none:1\"" in item["message"] for item in items), 10)
        message = next(item["message"] for item in found if "Failed to pull image" in item["message"])
        self.assertIn("refused", message)
        item = self.api.wait("deployments", self.ns, "web", lambda d: any(
            c["type"] == "Progressing" and c["reason"] == "ProgressDeadlineExceeded"
            for c in d["status"]["conditions"]), 20, "past its progress deadline")
        self.assertEqual(item["status"]["availableReplicas"], 2)
        self.daemon.kubectl("rollout", "undo", "deployment/web", "-n", self.ns)
        self.wait_deployment("web")

    def test_deleting_a_deployment_collects_what_it_owns(self):
        self.web_deployment("web", 2)
        self.wait_deployment("web")
        self.api.delete("deployments", self.ns, "web")
        for resource in ("replicasets", "pods"):
            self.api.wait_list(resource, self.ns, lambda items: not items, 30, what="gone")

    def test_orphans_stay_and_are_adopted_again(self):
        self.web_deployment("web", 2)
        self.wait_deployment("web")
        before = {pod["metadata"]["uid"] for pod in self.api.list("pods", self.ns)}
        self.daemon.kubectl("delete", "deployment", "web", "--cascade=orphan", "-n", self.ns)
        self.api.wait_list("replicasets", self.ns, lambda items: items and not any(
            item["metadata"].get("ownerReferences") for item in items), 10, what="orphaned")
        self.web_deployment("web", 2)
        self.wait_deployment("web")
        self.assertEqual({pod["metadata"]["uid"] for pod in self.api.list("pods", self.ns)}, before)

    def test_deleted_pod_is_replaced(self):
        self.web_deployment("web", 1)
        self.wait_deployment("web")
        pod = self.api.list("pods", self.ns)[0]
        self.api.delete("pods", self.ns, pod["metadata"]["name"])
        self.api.wait_list("pods", self.ns, lambda pods: len(pods) == 1 and condition_is(pods[0], "Ready")
                           and pods[0]["metadata"]["uid"] != pod["metadata"]["uid"], 30, what="replaced")

    def test_namespace_deletion_removes_everything_in_it(self):
        self.web_deployment("web", 2)
        self.make_service("web")
        self.wait_deployment("web")
        self.api.delete("namespaces", "", self.ns)
        self.api.wait("namespaces", "", self.ns, lambda item: item is None, 40, "gone")
        for resource in ("pods", "services", "deployments", "replicasets", "endpointslices"):
            self.assertEqual(self.api.list(resource, self.ns), [])


if __name__ == "__main__":
    unittest.main()
