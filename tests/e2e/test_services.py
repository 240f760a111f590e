"""Services: from pods and the host, node ports, headless, affinity, DNS, hairpin."""
import collections
import socket
import unittest
import urllib.error

from harness.case import ClusterCase, eventually, http


def host_address() -> str:
    """An address of this machine that is not loopback; empty without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return ""


class Services(ClusterCase):
    def backends(self, name: str, count: int = 2) -> list:
        self.web_deployment(name, count)
        self.wait_deployment(name)
        return self.wait_endpoints(name, count)

    def names(self, url: str, times: int = 60) -> collections.Counter:
        self.wait_answer(url)
        return collections.Counter(http(url).split()[0] for _ in range(times))

    def test_cluster_ip_is_balanced_from_the_host(self):
        service = self.make_service("web")
        self.backends("web", 3)
        names = self.names(f"http://{service['spec']['clusterIP']}/", 120)
        self.assertEqual(len(names), 3, names)
        self.assertGreater(min(names.values()), 15, names)

    def test_cluster_ip_and_names_from_a_pod(self):
        service = self.make_service("web")
        self.backends("web", 1)
        self.run_pod("client", "exec sleep 1000")
        self.wait_answer(f"http://{service['spec']['clusterIP']}/")
        for host in (service["spec"]["clusterIP"], "web", f"web.{self.ns}", f"web.{self.ns}.svc.cluster.local"):
            done = self.exec("client", "web", "get", host, "80", "/")
            self.assertRegex(done.stdout, r"^web-[a-z0-9]+-[a-z0-9]+ 1\n$", host)

    def test_node_port_on_loopback_and_the_hosts_address(self):
        service = self.make_service("web", type="NodePort")
        port = service["spec"]["ports"][0]["nodePort"]
        self.assertIn(port, range(self.daemon.node_port_first, self.daemon.node_port_first + 100))
        self.backends("web", 2)
        self.assertEqual(len(self.names(f"http://127.0.0.1:{port}/")), 2)
        if host_address():
            self.assertEqual(len(self.names(f"http://{host_address()}:{port}/")), 2)

    def test_udp(self):
        service = self.make_service("web", ports=[{"port": 53, "targetPort": 8080, "protocol": "UDP"}])
        self.backends("web", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1)

            def ask():
                try:
                    client.sendto(b"?", (service["spec"]["clusterIP"], 53))
                    return client.recv(200)
                except OSError:
                    return b""
            self.assertTrue(eventually(ask, 10).startswith(b"web-"))

    def test_no_endpoints_is_refused_at_once(self):
        service = self.make_service("empty")
        with self.assertRaises(urllib.error.URLError) as caught:
            http(f"http://{service['spec']['clusterIP']}/", timeout=3)
        self.assertIsInstance(caught.exception.reason, ConnectionRefusedError)

    def test_unready_pod_gets_nothing(self):
        service = self.make_service("web")
        self.backends("web", 2)
        pods = [pod["metadata"]["name"] for pod in self.api.list("pods", self.ns)]
        self.exec(pods[0], "touch", "/tmp/unready")
        self.wait_endpoints("web", 1)
        url = f"http://{service['spec']['clusterIP']}/"
        self.assertTrue(eventually(lambda: set(self.names(url, 20)) == {pods[1]}, 5))

    def test_headless_names_every_pod(self):
        self.make_service("web", clusterIP="None")
        addresses = self.backends("web", 3)
        self.run_pod("client", "exec sleep 1000")
        done = self.exec("client", "nslookup", f"web.{self.ns}.svc.cluster.local", check=False)
        for address in addresses:
            self.assertIn(address, done.stdout)

    def test_session_affinity(self):
        service = self.make_service("web", sessionAffinity="ClientIP")
        self.backends("web", 3)
        self.assertEqual(len(self.names(f"http://{service['spec']['clusterIP']}/", 40)), 1)

    def test_hairpin(self):
        service = self.make_service("web")
        self.backends("web", 1)
        pod = self.api.list("pods", self.ns)[0]["metadata"]["name"]
        self.wait_answer(f"http://{service['spec']['clusterIP']}/")
        for _ in range(3):
            done = self.exec(pod, "web", "get", service["spec"]["clusterIP"], "80", "/")
            self.assertEqual(done.stdout.split()[0], pod)

    def test_ports_by_name_and_several(self):
        service = self.make_service("web", ports=[{"name": "a", "port": 80, "targetPort": "http"},
                                                  {"name": "b", "port": 81, "targetPort": 8080}])
        self.backends("web", 1)
        for port in (80, 81):
            self.assertTrue(self.wait_answer(f"http://{service['spec']['clusterIP']}:{port}/").startswith("web-"))

    def test_endpoints_and_slices_agree(self):
        self.make_service("web")
        addresses = self.backends("web", 2)
        endpoints = self.api.wait("endpoints", self.ns, "web", lambda item: item and item.get("subsets"))
        found = sorted(entry["ip"] for subset in endpoints["subsets"] for entry in subset["addresses"])
        self.assertEqual(found, addresses)

    def test_deleted_service_is_gone(self):
        service = self.make_service("web")
        self.backends("web", 1)
        url = f"http://{service['spec']['clusterIP']}/"
        self.wait_answer(url)
        self.api.delete("services", self.ns, "web")

        def refused():
            try:
                http(url, timeout=1)
            except OSError:
                return True
            return False
        self.assertTrue(eventually(refused, 5))

    def test_names_of_the_outside_are_answered_or_refused_but_never_hang(self):
        self.run_pod("client", "exec sleep 1000")
        done = self.exec("client", "nslookup", f"absent.{self.ns}.svc.cluster.local", check=False)
        self.assertIn("NXDOMAIN", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
