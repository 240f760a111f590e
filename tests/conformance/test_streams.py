"""exec, attach, cp, port-forward, logs, debug and proxies: kubectl 1.35 as it is, kubectl as older clients speak
(SPDY), the protocols of the Python and JavaScript clients, and clients that behave badly."""
import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pty
import random
import re
import select
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

import unittest

from harness import tools
from harness.api import path_of
from harness.case import ClusterCase, eventually, http
from websocket_client import Refused, WebSocketClient

SPDY = {"KUBECTL_PORT_FORWARD_WEBSOCKETS": "false", "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}


class StreamCase(ClusterCase):
    def kubectl(self, *args, check=True, input=None, env=None, timeout=60):
        """Bytes in, bytes out: what streams carry is no text."""
        done = subprocess.run([tools.kubectl(), "-n", self.ns, *args], input=input, capture_output=True,
                              timeout=timeout, env=dict(self.daemon.environment(), **(env or {})))
        if check:
            self.assertEqual(done.returncode, 0, (args, done.stderr.decode(), done.stdout[-300:]))
        return done

    def start_kubectl(self, *args, env=None, **kwargs) -> subprocess.Popen:
        child = subprocess.Popen([tools.kubectl(), "-n", self.ns, *args], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=dict(self.daemon.environment(), **(env or {})),
                                 **kwargs)
        self.addCleanup(self.end, child)
        return child

    @staticmethod
    def end(child: subprocess.Popen) -> None:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                stream.close()

    def forward(self, target: str, port, env=None) -> tuple:
        """A running `kubectl port-forward`: (process, local port)."""
        child = self.start_kubectl("port-forward", target, f":{port}", env=env)
        line = child.stdout.readline()
        match = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ->", line)
        self.assertTrue(match, line or child.stderr.read())
        return child, int(match.group(1))

    def exec_path(self, pod: str, *command, sub="exec", **query) -> str:
        pairs = [("command", word) for word in command] + list(query.items())
        return path_of("pods", self.ns, pod, sub) + "?" + urllib.parse.urlencode(pairs)

    def memory_kb(self) -> int:
        with open(f"/proc/{self.daemon.process.pid}/smaps_rollup", encoding="ascii") as rollup:
            return int(re.search(r"^Pss:\s+(\d+)", rollup.read(), re.M).group(1))


# kubectl sends the size of its terminal right after it is connected, and the command may be quicker.
SIZE = "for try in 1 2 3 4 5 6 7 8 9; do stty size 2>/dev/null | grep -q 77 && break; sleep 0.1; done; stty size"


class Exec(StreamCase):
    def test_exec_in_both_transports(self):
        self.run_pod("box", "exec sleep 1000")
        for env in ({}, SPDY):
            out = self.kubectl("exec", "box", "--", "/bin/sh", "-c", "echo out; echo err >&2", env=env)
            self.assertEqual((out.stdout, out.stderr), (b"out\n", b"err\n"), env)
            failed = self.kubectl("exec", "box", "--", "/bin/sh", "-c", "exit 7", check=False, env=env)
            self.assertEqual(failed.returncode, 7, failed.stderr)
            self.assertIn(b"command terminated with exit code 7", failed.stderr)
            missing = self.kubectl("exec", "box", "--", "/no/such", check=False, env=env)
            self.assertNotEqual(missing.returncode, 0)
            self.assertIn(b"no such file or directory", missing.stderr)
            data = os.urandom(1_500_000)
            back = self.kubectl("exec", "-i", "box", "--", "cat", input=data, env=env)
            self.assertEqual(back.stdout, data, env)
            none = self.kubectl("exec", "none", "--", "ls", check=False, env=env)
            self.assertIn(b'pods "none" not found', none.stderr)

    def test_errors_before_the_upgrade(self):
        self.run_pod("two", "exec sleep 1000", more_containers=[
            {"name": "other", "image": tools.IMAGE, "command": ["/bin/sh", "-c", "exec sleep 1000"]}])

        def refused(path):
            with self.assertRaises(Refused) as caught:
                WebSocketClient(self.api, path, ["v5.channel.k8s.io"])
            return str(caught.exception)
        self.assertIn("a container name must be specified for pod two, choose one of: [main other]",
                      refused(self.exec_path("two", "ls", stdout="true")))
        self.assertIn("container x is not valid for pod two",
                      refused(self.exec_path("two", "ls", stdout="true", container="x")))
        self.assertIn("you must specify at least 1 of stdin, stdout, stderr",
                      refused(self.exec_path("two", "ls", container="main")))
        code, _, body = self.api.raw("GET", self.exec_path("two", "ls", stdout="true", container="main"))
        self.assertEqual((code, json.loads(body)["message"]), (400, "Upgrade request required"))

    def test_copy_both_ways_in_both_transports(self):
        self.run_pod("box", "exec sleep 1000")
        with tempfile.TemporaryDirectory() as folder:
            data = os.urandom(700_000)
            path = os.path.join(folder, "data")
            with open(path, "wb") as out:
                out.write(data)
            for number, env in enumerate(({}, SPDY)):
                self.kubectl("cp", path, f"{self.ns}/box:/tmp/data{number}", env=env)
                self.kubectl("cp", f"{self.ns}/box:/tmp/data{number}", path + ".back", env=env)
                with open(path + ".back", "rb") as back:
                    self.assertEqual(back.read(), data)

    def test_terminal(self):
        self.run_pod("box", "exec sleep 1000")
        for env in ({}, SPDY):
            out = self.in_terminal(["exec", "-it", "box", "--", "/bin/sh", "-c",
                                    f"tty; read word; {SIZE}; echo got-$word"], "hello\n", "got-hello", env)
            self.assertIn("/dev/pts/", out)
            self.assertIn("33 77", out)

    def in_terminal(self, args, typed: str, wanted: str, env=None, after: str = "") -> str:
        """kubectl on a terminal of 33 lines and 77 columns; what it shows until `wanted`."""
        import fcntl
        import struct
        import termios
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        child = subprocess.Popen([tools.kubectl(), "-n", self.ns, *args], stdin=slave, stdout=slave, stderr=slave,
                                 env=dict(self.daemon.environment(), TERM="xterm", **(env or {})),
                                 start_new_session=True)
        os.close(slave)
        self.addCleanup(self.end, child)
        shown, sent, deadline = "", False, time.monotonic() + 40
        try:
            while wanted not in shown.replace(typed.strip(), "", 1) and time.monotonic() < deadline:
                if not select.select([master], [], [], 0.5)[0]:
                    continue
                try:
                    piece = os.read(master, 4096)
                except OSError:
                    break
                shown += piece.decode(errors="replace")
                if not sent and (not after or after in shown):
                    os.write(master, typed.encode())
                    sent = True
            self.assertIn(wanted, shown)
            self.last_child = child
            return shown
        finally:
            os.close(master)

    def test_protocols_of_other_clients(self):
        self.run_pod("box", "exec sleep 1000")
        path = self.exec_path("box", "/bin/sh", "-c", "echo out; echo err >&2; exit 3", stdout="true", stderr="true")
        text = b"command terminated with non-zero exit code: exit status 3"
        for protocol in ("v5.channel.k8s.io", "v4.channel.k8s.io"):
            seen = WebSocketClient(self.api, path, [protocol]).channels()
            self.assertEqual((seen[1], seen[2]), (b"out\n", b"err\n"))
            self.assertEqual(json.loads(seen[3])["details"]["causes"][0], {"reason": "ExitCode", "message": "3"})
        for protocols in (["channel.k8s.io"], []):
            seen = WebSocketClient(self.api, path, protocols).channels()
            self.assertEqual((seen[1], seen[3]), (b"out\n", text))
        client = WebSocketClient(self.api, path, ["v9.channel.k8s.io", "v4.base64.channel.k8s.io"])
        self.assertEqual(client.protocol, "v4.base64.channel.k8s.io")
        seen = client.channels()
        self.assertEqual(base64.b64decode(seen[ord("1")]), b"out\n")
        with self.assertRaises(Refused):
            WebSocketClient(self.api, path, ["v9.channel.k8s.io"])

    def test_attach_to_a_running_container(self):
        self.run_pod("reader", "while read line; do echo got-$line; done", container={"stdin": True})
        for number, env in enumerate(({}, SPDY)):
            child = self.start_kubectl("attach", "-i", "reader", env=env, stdin=subprocess.PIPE)
            child.stdin.write(f"word{number}\n")
            child.stdin.flush()
            self.assertEqual(child.stdout.readline(), f"got-word{number}\n")
            self.end(child)

    def test_attach_and_debug_in_a_terminal(self):
        self.run_pod("reader", "while read word; do echo got-$word; done", container={"stdin": True, "tty": True})
        self.in_terminal(["attach", "-it", "reader"], "hello\n", "got-hello")
        self.in_terminal(["debug", "-it", "reader", f"--image={tools.IMAGE}", "--", "/bin/sh", "-c",
                          "tty; read word; echo got-$word"], "again\n", "got-again", after="pressing enter")

    def test_run_in_a_terminal_and_remove(self):
        out = self.in_terminal(["run", "shot", "-it", "--rm", "--restart=Never", f"--image={tools.IMAGE}", "--command",
                                "--", "/bin/sh", "-c", f"echo ready; read word; {SIZE}; echo got-$word"],
                               "hello\n", "got-hello")
        self.assertIn("33 77", out)
        self.wait_gone("pods", "shot")


class PortForward(StreamCase):
    def test_http_in_both_transports(self):
        self.web_deployment("web", 1)
        self.wait_deployment("web")
        self.make_service("web")
        for env in ({}, SPDY):
            for target in ("deploy/web", "svc/web"):
                child, port = self.forward(target, 80 if target.startswith("svc") else 8080, env)
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    answers = list(pool.map(lambda _: http(f"http://127.0.0.1:{port}/healthz"), range(60)))
                self.assertEqual(set(answers), {"ok\n"})
                self.assertIsNone(child.poll())
                self.end(child)

    def test_a_server_on_localhost_and_much_data(self):
        size = 8_000_000
        self.run_pod("local", f"head -c {size} /dev/urandom > /tmp/big; sha256sum /tmp/big > /tmp/sum; echo made; "
                              "exec httpd -f -p 127.0.0.1:9000 -h /tmp")
        self.assertTrue(eventually(lambda: "made" in self.api.log(self.ns, "local")))
        digest = self.exec("local", "cat", "/tmp/sum").stdout.split()[0]
        for env in ({}, SPDY):
            child, port = self.forward("pod/local", 9000, env)
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    f"http://127.0.0.1:{port}/big", timeout=30) as answer:
                data = answer.read()
            self.assertEqual((len(data), hashlib.sha256(data).hexdigest()), (size, digest), env)
            self.end(child)

    def test_a_closed_port_is_told(self):
        self.run_pod("box", "exec sleep 1000")
        child, port = self.forward("pod/box", 4242)
        with self.assertRaises(OSError):
            http(f"http://127.0.0.1:{port}/")
        seen = ""
        while "connection refused" not in seen:
            line = child.stderr.readline()
            if not line:
                break
            seen += line
        self.assertIn("error forwarding port 4242 to pod box", seen)
        self.assertIn("dial tcp4 127.0.0.1:4242: connect: connection refused", seen)

    def test_channels_as_the_python_client(self):
        self.web_deployment("web", 1)
        self.wait_deployment("web")
        pod = self.api.list("pods", self.ns)[0]["metadata"]["name"]
        path = path_of("pods", self.ns, pod, "portforward") + "?ports=8080,4242"
        client = WebSocketClient(self.api, path, ["v4.channel.k8s.io"])
        numbers = {channel: (8080 if channel < 2 else 4242).to_bytes(2, "little") for channel in range(4)}
        for _ in range(4):
            message = client.read()
            self.assertEqual(message[1:], numbers[message[0]])
        client.send(b"\x00GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        seen = client.channels()
        self.assertTrue(seen[0].startswith(b"HTTP/1.1 200"), seen)
        self.assertIn(b"connection refused", seen[3])
        self.assertEqual(client.close_code, 1000)


class Logs(StreamCase):
    def test_options(self):
        self.make_pod("talker", "for i in 1 2 3 4 5; do echo line$i; done; echo oops >&2", restartPolicy="Never")
        self.wait_phase("talker", "Succeeded")
        log = lambda **query: self.api.log(self.ns, "talker", **query)
        self.assertEqual(sorted(log().split()), ["line1", "line2", "line3", "line4", "line5", "oops"])
        self.assertEqual(log(stream="Stdout").split(), [f"line{i}" for i in range(1, 6)])
        self.assertEqual(log(stream="Stderr").split(), ["oops"])
        self.assertEqual(len(log(tailLines=2).split()), 2)
        self.assertEqual(log(tailLines=0), "")
        self.assertEqual(len(log(limitBytes=7)), 7)
        self.assertEqual(len(log(sinceSeconds=3600).split()), 6)
        self.assertEqual(log(sinceTime="2100-01-01T00:00:00Z"), "")
        self.assertRegex(log(timestamps="true", tailLines=1), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \w+\n$")
        self.assertEqual(log(insecureSkipTLSVerifyBackend="true"), log())
        self.assertEqual(len(log(follow="true").split()), 6)

    def test_refusals(self):
        self.make_pod("talker", "exec sleep 1000")
        self.wait_ready("talker")

        def refused(code, **query):
            return self.refused(code, self.api.log, self.ns, "talker", **query).message
        self.assertEqual(refused(400, previous="true"),
                         'previous terminated container "main" in pod "talker" not found')
        self.assertEqual(refused(400, container="x"), "container x is not valid for pod talker")
        self.assertEqual(refused(422, tailLines=-1), 'PodLogOptions "talker" is invalid: tailLines: Invalid value: -1: '
                                                     "must be greater than or equal to 0")
        self.assertIn("limitBytes: Invalid value: 0: must be greater than 0", refused(422, limitBytes=0))
        self.assertIn("at most one of `sinceTime` or `sinceSeconds` may be specified",
                      refused(422, sinceSeconds=1, sinceTime="2020-01-01T00:00:00Z"))
        self.assertIn("mutually exclusive", refused(422, stream="Stdout", tailLines=1))
        self.assertIn('supported values: "All", "Stderr", "Stdout"', refused(422, stream="Nothing"))
        self.make_pod("stuck", "true", container={"image": "localhost:1/none:1"})
        self.wait_pod("stuck", lambda pod: "ImagePullBackOff" in json.dumps(pod["status"]), 30)
        self.assertEqual(self.refused(400, self.api.log, self.ns, "stuck").message,
                         'container "main" in pod "stuck" is waiting to start: trying and failing to pull image')

    def test_previous_run_while_the_next_waits(self):
        self.make_pod("crash", "echo run $(cat /proc/sys/kernel/random/uuid); exit 1")
        self.wait_pod("crash", lambda pod: "CrashLoopBackOff" in json.dumps(pod["status"]), 40)
        last = self.api.log(self.ns, "crash")
        self.assertTrue(last.startswith("run "))
        self.assertEqual(self.api.log(self.ns, "crash", previous="true"), last)

    def test_follow_through_rotations(self):
        # 25 MB: the files are rotated at 10 MiB.
        line, count = "x" * 99, 250_000
        self.make_pod("loud", f"sleep 1; yes {line} | head -n {count}; echo the-end", restartPolicy="Never")
        self.wait_pod("loud", lambda pod: pod["status"].get("phase") in ("Running", "Succeeded"))
        done = self.kubectl("logs", "-f", "loud", timeout=120)
        lines = done.stdout.split(b"\n")
        self.assertEqual(lines[-2], b"the-end")
        self.assertEqual(len(lines), count + 2)
        self.assertEqual(self.api.log(self.ns, "loud", tailLines=1), "the-end\n")
        self.assertEqual(len(self.api.log(self.ns, "loud", tailLines=120_000).splitlines()), 120_000)


class Debug(StreamCase):
    def test_ephemeral_container_sees_the_targets_processes(self):
        self.run_pod("app", "sleep 12345 & exec sleep 1000")
        done = self.kubectl("debug", "app", f"--image={tools.IMAGE}", "--target=main", "-c", "dbg", "-i",
                            "--attach=true", "--quiet", "--", "/bin/sh", "-c", "ps; read word; echo got-$word",
                            input=b"hello\n", timeout=90)
        self.assertIn(b"got-hello", done.stdout, done.stderr)
        self.assertIn("sleep 12345", self.api.log(self.ns, "app", container="dbg"))
        pod = self.wait_pod("app", lambda pod: any(
            "terminated" in status["state"] for status in pod["status"].get("ephemeralContainerStatuses", [])))
        self.assertEqual(pod["spec"]["ephemeralContainers"][0]["targetContainerName"], "main")
        self.assertEqual(pod["status"]["phase"], "Running")

    def test_copy_of_a_pod(self):
        self.run_pod("app", "exec sleep 1000")
        self.kubectl("debug", "app", "--copy-to=app-copy", "--container=main", f"--image={tools.IMAGE}",
                     "--share-processes", "--attach=false", "--", "/bin/sh", "-c", "exec sleep 500")
        pod = self.wait_ready("app-copy")
        self.assertTrue(pod["spec"]["shareProcessNamespace"])

    def test_node(self):
        node = self.api.list("nodes")[0]["metadata"]["name"]
        self.kubectl("debug", f"node/{node}", f"--image={tools.IMAGE}", "--attach=false", "--", "/bin/sh", "-c",
                     "test -d /host/proc && echo host-is-there; exec sleep 100")
        name = self.api.list("pods", self.ns)[0]["metadata"]["name"]
        self.assertTrue(name.startswith(f"node-debugger-{node}"))
        self.wait_phase(name, "Running")
        self.assertTrue(eventually(lambda: "host-is-there" in self.api.log(self.ns, name)))


class Resize(StreamCase):
    def test_limits_change_under_a_running_container(self):
        limits = lambda cpu, memory: {"resources": {"requests": {"cpu": cpu, "memory": memory},
                                                    "limits": {"cpu": cpu, "memory": memory}}}
        self.run_pod("app", "exec sleep 1000", container=limits("100m", "32Mi"))
        self.kubectl("patch", "pod", "app", "--subresource=resize", "--patch",
                     json.dumps({"spec": {"containers": [{"name": "main", **limits("250m", "64Mi")}]}}))
        read = ("cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory.max "
                "/sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true")
        self.assertTrue(eventually(lambda: {"25000", str(64 << 20)} <= set(
            self.exec("app", "/bin/sh", "-c", read).stdout.split())), self.exec("app", "/bin/sh", "-c", read).stdout)
        pod = self.api.get("pods", self.ns, "app")
        self.assertEqual(pod["status"]["containerStatuses"][0]["restartCount"], 0)


class Proxy(StreamCase):
    def raw(self, path: str, **headers):
        return self.api.raw("GET", path, headers=headers)

    def test_pods_and_services(self):
        self.web_deployment("web", 1)
        self.wait_deployment("web")
        self.make_service("web", ports=[{"name": "http", "port": 80, "targetPort": "http"}])
        self.wait_endpoints("web", 1)
        pod = self.api.list("pods", self.ns)[0]["metadata"]["name"]
        base = f"/api/v1/namespaces/{self.ns}"
        for item in (f"pods/{pod}", f"pods/{pod}:8080", f"pods/http:{pod}:8080", "services/web:http", "services/web:80",
                     "services/http:web:80"):
            self.assertEqual(self.kubectl("get", "--raw", f"{base}/{item}/proxy/healthz").stdout, b"ok\n", item)
        code, headers, _ = self.raw(f"{base}/services/web:80/proxy?a=b")
        self.assertEqual((code, headers["Location"]), (301, f"{base}/services/web:80/proxy/?a=b"))
        code, _, body = self.raw(f"{base}/services/web:81/proxy/")
        self.assertEqual((code, json.loads(body)["message"]), (503, 'no service port 81 found for service "web"'))
        code, _, body = self.raw(f"{base}/services/none/proxy/")
        self.assertEqual(code, 404)
        code, _, body = self.raw(f"{base}/pods/{pod}:1/proxy/")
        self.assertEqual(code, 503)
        self.assertIn("error trying to reach service: dial tcp", json.loads(body)["message"])
        self.make_service("empty", selector={"app": "nobody"})
        code, _, body = self.raw(f"{base}/services/empty/proxy/")
        self.assertEqual((code, json.loads(body)["message"]), (503, 'no endpoints available for service "empty"'))
        code, _, body = self.api.raw("POST", f"{base}/pods/{pod}/proxy/predict", b"{}", headers={"X-API-Key": "k"})
        self.assertIn(code, (200, 401))

    def test_kubectl_proxy(self):
        self.web_deployment("web", 1)
        self.wait_deployment("web")
        pod = self.api.list("pods", self.ns)[0]["metadata"]["name"]
        child = self.start_kubectl("proxy", "--port=0")
        port = re.search(r":(\d+)$", child.stdout.readline().strip()).group(1)
        base = f"http://127.0.0.1:{port}/api/v1/namespaces/{self.ns}/pods/{pod}"
        self.assertEqual(http(base + "/proxy/healthz"), "ok\n")
        self.assertEqual(json.loads(http(base))["metadata"]["name"], pod)

    def test_bodies_pass_in_pieces(self):
        """40 MB up and down, more than the server takes of any other request."""
        size = 40_000_000
        serve = ("#!/bin/sh\nwhile read line; do [ ${#line} -le 1 ] && break; done\n"
                 f"head -c {size} > /tmp/got\nprintf 'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n'\n"
                 f"head -c {size} /dev/zero\n")
        self.run_pod("sink", "printf '%s' \"$SERVE\" > /tmp/serve; chmod +x /tmp/serve; echo made; "
                             "nc -l -p 8080 -e /tmp/serve; exec sleep 1000",
                     container={"env": [{"name": "SERVE", "value": serve}]})
        self.assertTrue(eventually(lambda: "made" in self.api.log(self.ns, "sink")))
        before = self.memory_kb()
        body = b"y" * size
        code, _, data = self.api.raw("POST", f"/api/v1/namespaces/{self.ns}/pods/sink:8080/proxy/x", body, timeout=60)
        self.assertEqual((code, len(data)), (200, size))
        self.assertLess(self.memory_kb() - before, 15_000)

    def test_upgrade_passes_through(self):
        script = ("printf 'HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
                  "Sec-WebSocket-Accept: x\\r\\n\\r\\n\\202\\002hi'; sleep 2; cat > /tmp/got")
        self.run_pod("ws", f"({script}) | nc -l -p 8080 > /tmp/head; exec sleep 1000")
        client = WebSocketClient(self.api, f"/api/v1/namespaces/{self.ns}/pods/ws:8080/proxy/chat")
        self.assertEqual(client.read(), b"hi")
        head = eventually(lambda: self.exec("ws", "cat", "/tmp/head").stdout)
        self.assertTrue(head.startswith("GET /chat HTTP/1.1"), head)
        for line in ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https",
                     f"X-Forwarded-Uri: /api/v1/namespaces/{self.ns}/pods/ws:8080/proxy/chat"):
            self.assertIn(line, head)
        client.vanish()

    def test_node_endpoints(self):
        self.run_pod("talker", "echo hello; exec sleep 1000")
        node = self.api.list("nodes")[0]["metadata"]["name"]
        base = f"/api/v1/nodes/{node}/proxy"
        self.assertEqual(self.raw(base + "/healthz")[2], b"ok")
        pods = json.loads(self.raw(base + "/pods")[2])
        self.assertIn("talker", [pod["metadata"]["name"] for pod in pods["items"]])
        self.assertEqual(json.loads(self.raw(base + "/stats/summary")[2])["node"]["nodeName"], node)
        self.assertEqual(self.raw(base + f"/containerLogs/{self.ns}/talker/main")[2], b"hello\n")
        self.assertIn(b"node_memory_working_set_bytes", self.raw(base + "/metrics/resource")[2])
        self.assertEqual(self.raw(f"/api/v1/nodes/{node}:22/proxy/")[0], 403)
        self.assertEqual(self.raw(base + "/nothing")[0], 404)


class BadClients(StreamCase):
    """Clients that stop reading or vanish cost bounded memory, and what they held ends with them."""

    alone = True
    LIMIT_KB = 12_000

    def test_clients_that_stop_reading(self):
        self.run_pod("loud", "while true; do yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx | head -n 200000; sleep 0.1; "
                             "done & while true; do nc -l -p 9000 < /dev/zero; done & exec sleep 1000")
        before = self.memory_kb()
        clients = []
        for _ in range(3):
            clients.append(WebSocketClient(self.api, self.exec_path("loud", "cat", "/dev/zero", stdout="true"),
                                           ["v5.channel.k8s.io"], receive_buffer=65536))
        clients.append(WebSocketClient(self.api, path_of("pods", self.ns, "loud", "portforward") + "?ports=9000",
                                       ["v4.channel.k8s.io"], receive_buffer=65536))
        follower = self.api.connect(15)
        follower.request("GET", path_of("pods", self.ns, "loud", "log") + "?follow=true")
        time.sleep(4)  # long enough for hundreds of megabytes, if anybody kept them
        grown = self.memory_kb() - before
        self.note(f"{grown} kB for five clients that read nothing")
        self.assertLess(grown, self.LIMIT_KB)
        self.assertEqual(self.api.get("pods", self.ns, "loud")["status"]["phase"], "Running")
        for client in clients:
            client.vanish()
        follower.close()
        self.assertTrue(eventually(lambda: "cat /dev/zero" not in self.exec("loud", "ps").stdout, 15),
                        self.exec("loud", "ps").stdout)

    def test_input_that_nobody_reads(self):
        self.run_pod("deaf", "exec sleep 1000")
        before = self.memory_kb()
        client = WebSocketClient(self.api, self.exec_path("deaf", "sleep", "777", stdin="true", stdout="true"),
                                 ["v5.channel.k8s.io"], timeout=3)
        sent = 0
        try:
            while sent < 200_000_000:
                client.send(b"\0" + bytes(32_000))
                sent += 32_000
        except TimeoutError:
            pass
        self.assertLess(sent, 60_000_000)
        self.assertLess(self.memory_kb() - before, self.LIMIT_KB)
        client.vanish()
        # The server reads nothing more of this client; it learns of its end by its own ping.
        self.assertTrue(eventually(lambda: "sleep 777" not in self.exec("deaf", "ps").stdout, 60, 0.5))

    def test_hang_ups_at_every_moment(self):
        """Every sort of stream, by every upgrade, and a client that is gone at once or a little later."""
        self.run_pod("box", "echo hello; while true; do nc -l -p 9000 -e cat; done")
        command = self.exec_path("box", "cat", stdin="true", stdout="true")
        base = f"/api/v1/namespaces/{self.ns}"
        websocket = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: {}\r\n")
        spdy = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {}\r\n"
        forward = path_of("pods", self.ns, "box", "portforward")
        requests = [
            ("GET", command, websocket.format("v5.channel.k8s.io")), ("POST", command, spdy.format("v4.channel.k8s.io")),
            ("GET", self.exec_path("box", sub="attach", stdout="true"), websocket.format("v5.channel.k8s.io")),
            ("GET", forward, websocket.format("SPDY/3.1+portforward.k8s.io")),
            ("GET", forward + "?ports=9000", websocket.format("v4.channel.k8s.io")),
            ("POST", forward, spdy.format("portforward.k8s.io")),
            ("GET", path_of("pods", self.ns, "box", "log") + "?follow=true", ""),
            ("GET", f"{base}/pods/box:9000/proxy/", ""), ("GET", f"{base}/pods?watch=1", ""),
            ("GET", f"{base}/pods?watch=1&resourceVersion=1", ""), ("GET", f"{base}/pods", ""),
            ("GET", "/openapi/v2", ""), ("POST", f"{base}/configmaps", "Content-Length: 100\r\n")]
        pid = self.daemon.process.pid

        def one(number: int) -> None:
            method, path, headers = requests[number % len(requests)]
            connection = self.api.connect(10)
            connection.connect()
            connection.sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
            # At once, by a proper end of TLS, or at some moment of the first 20 ms.
            how = number // len(requests) % 4
            if how == 1:
                with contextlib.suppress(OSError):
                    connection.sock.settimeout(0.001)
                    connection.sock.unwrap()
            elif how > 1:
                time.sleep(random.random() * 0.02)
            connection.close()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(len(requests) * 60)))
        self.assertEqual(self.kubectl("exec", "box", "--", "echo", "well").stdout, b"well\n")
        self.assertEqual((self.daemon.died, self.daemon.process.pid), ("", pid))
        self.assertTrue(eventually(lambda: " cat" not in self.exec("box", "ps").stdout.replace("-e cat", ""), 20, 0.5))

    def test_many_short_sessions_leave_nothing(self):
        self.run_pod("box", "exec sleep 1000")
        fds = lambda: len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))
        self.exec("box", "true")
        before = fds()

        def one(_):
            client = WebSocketClient(self.api, self.exec_path("box", "cat", stdin="true", stdout="true"),
                                     ["v5.channel.k8s.io"])
            client.send(b"\0hi")
            client.vanish()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(60)))
        self.assertTrue(eventually(lambda: fds() <= before + 5, 20), (before, fds()))
        self.assertTrue(eventually(lambda: " cat" not in self.exec("box", "ps").stdout, 10))


if __name__ == "__main__":
    unittest.main()
