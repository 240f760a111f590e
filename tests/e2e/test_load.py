"""What must not fail while requests come in: rolling updates, the daemon's death, autoscaling."""
import time
import unittest

from harness.api import STRATEGIC
from harness.case import ClusterCase, container_status, http
from harness.load import Load

TAKE_OVER_S = 0.3


class UnderLoad(ClusterCase):
    alone = True

    def serve(self, replicas: int = 2) -> str:
        service = self.make_service("web", type="NodePort")
        self.web_deployment("web", replicas, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                            pod={"terminationGracePeriodSeconds": 10})
        self.wait_deployment("web")
        self.wait_endpoints("web", replicas)
        url = f"http://{service['spec']['clusterIP']}/"
        self.wait_answer(url)
        return url

    def assert_no_failures(self, result: dict, at_least: int) -> None:
        self.note(f"{result['requests']} requests, {result['failed']} failed, p99 {result['p99_ms']} ms")
        self.assertEqual(result["failed"], 0, result)
        self.assertGreaterEqual(result["requests"], at_least, result)

    def assert_running(self, load: Load) -> None:
        if not load.running():
            self.fail(f"the load ended before the change: {load.result()}")

    def roll(self, version: int):
        self.api.patch("deployments", self.ns, "web", {"spec": {"template": {"spec": {"containers": [
            {"name": "main", "env": [{"name": "VERSION", "value": str(version)}]}]}}}}, STRATEGIC)
        self.wait_deployment("web", 60)

    def test_rolling_update_loses_no_request(self):
        url = self.serve(3)
        load = Load(url, 40)
        self.addCleanup(load.stop)
        began = time.monotonic()
        rolls = 0
        while time.monotonic() - began < 37:
            rolls += 1
            self.roll(rolls + 1)
        self.assert_running(load)
        result = load.result()
        self.assertGreaterEqual(rolls, 1)
        self.assert_no_failures(result, 50_000)
        self.assertEqual(http(url).split()[1], str(rolls + 1))

    def test_rolling_update_through_the_node_port(self):
        self.serve(2)
        port = self.api.get("services", self.ns, "web")["spec"]["ports"][0]["nodePort"]
        url = f"http://127.0.0.1:{port}/"
        self.wait_answer(url)  # opened a moment after the rules of the cluster address
        load = Load(url, 8)
        self.addCleanup(load.stop)
        self.roll(2)
        self.assert_running(load)
        self.assert_no_failures(load.result(), 1000)

    def test_death_of_the_daemon_loses_no_request(self):
        url = self.serve(2)
        before = self.containers()
        load = Load(url, 12)
        self.addCleanup(load.stop)
        times = []
        for _ in range(3):
            time.sleep(1)  # of load between two deaths
            self.daemon.kill9()
            times.append(self.daemon.start())
        self.assert_running(load)
        result = load.result()
        self.assert_no_failures(result, 10_000)
        # A daemon that took over also acts again.
        self.api.patch("deployments", self.ns, "web", {"spec": {"replicas": 3}}, sub="scale")
        self.wait_deployment("web")
        after = self.containers()
        self.assertEqual({uid: after.get(uid) for uid in before}, before)
        self.note("took over within", " ".join(f"{t * 1000:.0f} ms" for t in times))
        self.assertLess(sorted(times)[1], TAKE_OVER_S, times)

    def containers(self) -> dict:
        return {pod["metadata"]["uid"]: (container_status(pod)["containerID"], container_status(pod)["restartCount"],
                                         pod["status"]["podIP"])
                for pod in self.api.list("pods", self.ns)}

    def test_graceful_stop_and_start_of_the_daemon(self):
        url = self.serve(2)
        before = self.containers()
        load = Load(url, 6)
        self.addCleanup(load.stop)
        time.sleep(1)
        self.assertEqual(self.daemon.terminate(), 0)
        time.sleep(0.5)
        self.daemon.start()
        self.assert_no_failures(load.result(), 5_000)
        self.assertEqual(self.containers(), before)


class Autoscaling(ClusterCase):
    alone = True

    def test_goes_up_under_load_and_comes_back(self):
        service = self.make_service("web")
        self.web_deployment("web", 1, container={"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "400m"}}})
        self.wait_deployment("web")
        self.wait_endpoints("web", 1)
        self.api.create("horizontalpodautoscalers", self.ns, {
            "metadata": {"name": "web"},
            "spec": {"minReplicas": 1, "maxReplicas": 3,
                     "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                     "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {
                         "type": "Utilization", "averageUtilization": 60}}}],
                     "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}})
        load = Load(f"http://{service['spec']['clusterIP']}/burn", 100, connections=4)
        self.addCleanup(load.stop)
        self.api.wait("deployments", self.ns, "web", lambda d: d["spec"]["replicas"] >= 2, 90, "scaled up")
        self.wait_deployment("web")
        load.stop()
        self.api.wait("deployments", self.ns, "web", lambda d: d["spec"]["replicas"] == 1, 120, "scaled down")
        scaler = self.api.get("horizontalpodautoscalers", self.ns, "web")
        kinds = {c["type"]: c["status"] for c in scaler["status"]["conditions"]}
        self.assertEqual(kinds.get("ScalingActive"), "True", scaler["status"])
        self.assertEqual(kinds.get("AbleToScale"), "True", scaler["status"])
        self.wait_event("web", "SuccessfulRescale")
        self.wait_deployment("web")


if __name__ == "__main__":
    unittest.main()
