"""kubectl 1.35, unchanged, with running containers: logs, exec, cp, attach, port-forward, proxy, run, debug, top and
cluster-info dump with all their flags. What flows through the streams themselves is in test_streams.py."""
import json
import os
import re
import subprocess
import time

from harness import tools
from harness.case import eventually, http
from kubectl_case import KubectlCase, lines, words


class NodeCase(KubectlCase):
    with_node = True

    def web(self, name: str = "web", replicas: int = 1) -> str:
        """A rolled out Deployment of the web server; the name of a pod of it."""
        self.web_deployment(name, replicas)
        self.wait_deployment(name)
        return self.api.list("pods", self.ns, selector=f"app={name}")[0]["metadata"]["name"]


class Logs(NodeCase):
    def two(self, name: str = "two", **more) -> None:
        """A finished pod with an init container and two containers."""
        self.api.create("pods", self.ns, self.pod_body(
            name, "for i in 1 2 3 4 5; do echo line$i; done", restartPolicy="Never", labels={"set": "logs"},
            initContainers=[{"name": "before", "image": tools.IMAGE, "command": ["echo", "first"]}],
            more_containers=[{"name": "other", "image": tools.IMAGE, "command": ["echo", "from the other"]}], **more))
        self.wait_phase(name, "Succeeded")

    def test_flags(self):
        self.two()

        def log(*args) -> list:
            return lines(self.kubectl("logs", *args))
        everything = [f"line{number}" for number in range(1, 6)]
        out, note = self.both("logs", "two")
        self.assertEqual((lines(out), note), (everything, "Defaulted container \"main\" out of: main, other, before (init)\n"))
        self.assertEqual(log("pod/two", "-c", "main"), everything)
        self.assertEqual(log("two", "other"), ["from the other"])
        self.assertEqual(log("two", "-c", "before"), ["first"])
        self.assertEqual(log("two", "-c", "main", "--tail=2"), ["line4", "line5"])
        self.assertEqual(log("two", "-c", "main", "--tail=0"), [])
        self.assertEqual(self.kubectl("logs", "two", "-c", "main", "--limit-bytes=7"), "line1\nl")
        self.assertEqual(log("two", "-c", "main", "--since=1h"), everything)
        self.assertEqual(log("two", "-c", "main", "--since-time=2100-01-01T00:00:00Z"), [])
        self.assertEqual(log("two", "-c", "main", "--since-time=2020-01-01T00:00:00Z"), everything)
        for line in log("two", "-c", "main", "--timestamps"):
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line\d$")
        self.assertEqual(sorted(log("two", "--all-containers")), sorted(everything + ["first", "from the other"]))
        self.assertEqual(sorted(log("two", "--all-containers", "--prefix", "--tail=1")),
                         ["[pod/two/before] first", "[pod/two/main] line5", "[pod/two/other] from the other"])
        self.assertEqual(log("two", "-c", "main", "-f"), everything)
        self.assertIn("container nope is not valid for pod two", self.fails("logs", "two", "-c", "nope"))
        self.assertIn("at most one of `sinceTime` or `sinceSeconds` may be specified", self.fails(
            "logs", "two", "--since=1h", "--since-time=2020-01-01T00:00:00Z"))

    def test_many_pods(self):
        for name in ("a", "b", "c"):
            self.two(name)
        out = lines(self.kubectl("logs", "-l", "set=logs", "-c", "main"))
        self.assertEqual(sorted(out), sorted([f"line{number}" for number in range(1, 6)] * 3))
        out = lines(self.kubectl("logs", "-l", "set=logs", "-c", "main", "--prefix", "--tail=1"))
        self.assertEqual(sorted(out), [f"[pod/{name}/main] line5" for name in "abc"])
        # Following asks for no more at a time than is allowed.
        self.assertIn("you are attempting to follow 3 log streams, but maximum allowed concurrency is 2, use "
                      "--max-log-requests to increase the limit",
                      self.fails("logs", "-f", "-l", "set=logs", "-c", "main", "--max-log-requests=2"))
        out = self.kubectl("logs", "-f", "-l", "set=logs", "-c", "main", "--max-log-requests=3")
        self.assertEqual(len(lines(out)), 15)
        self.assertIn("No resources found", self.both("logs", "-l", "set=none")[1])

    def test_of_owners_and_follow(self):
        self.api.create("deployments", self.ns, self.deployment_body(
            "talk", 2, command="echo hello; trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done",
            pod={"terminationGracePeriodSeconds": 5}))
        self.wait_deployment("talk")
        out, note = self.both("logs", "deploy/talk")
        self.assertEqual(out, "hello\n")
        self.assertRegex(note, r"Found 2 pods, using pod/talk-\w+-\w+\n")
        self.assertEqual(self.kubectl("logs", "deploy/talk", "--all-pods").count("] hello\n"), 2)
        replica_set = self.api.list("replicasets", self.ns)[0]["metadata"]["name"]
        self.assertEqual(self.kubectl("logs", f"rs/{replica_set}"), "hello\n")
        child = self.start("logs", "-f", "deploy/talk")
        self.assertEqual(self.line(child), "hello\n")
        self.kubectl("delete", "deploy", "talk")
        self.assertEqual(self.finished(child), "bye\n")

    def test_previous_and_waiting_containers(self):
        self.make_pod("crash", "echo run; exit 1")
        self.wait_pod("crash", lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) > 0, 40)
        self.assertEqual(self.kubectl("logs", "crash", "--previous"), "run\n")
        self.run_pod("calm", "exec sleep 1000")
        self.assertEqual(self.fails("logs", "calm", "-p"), 'Error from server (BadRequest): previous terminated container '
                                                          '"main" in pod "calm" not found\n')
        self.make_pod("stuck", "true", container={"image": "localhost:1/none:1"})
        self.wait_pod("stuck", lambda pod: "ErrImage" in json.dumps(pod["status"]) or "BackOff" in json.dumps(pod["status"]))
        self.assertRegex(self.fails("logs", "stuck"), r'Error from server \(BadRequest\): container "main" in pod "stuck" is '
                                                      r"waiting to start: (trying and failing to pull image|image can't be pulled)")
        self.assertIn("is waiting to start", self.kubectl("logs", "stuck", "--ignore-errors", "--all-containers"))


class Exec(NodeCase):
    def test_exec(self):
        self.run_pod("two", "exec sleep 1000", annotations={"kubectl.kubernetes.io/default-container": "other"},
                     more_containers=[{"name": "other", "image": tools.IMAGE, "env": [{"name": "WHO", "value": "other"}],
                                       "command": ["/bin/sh", "-c", "exec sleep 1000"]}])
        self.assertEqual(self.kubectl("exec", "two", "--", "/bin/sh", "-c", "echo $WHO"), "other\n")
        self.assertEqual(self.kubectl("exec", "two", "-c", "main", "--", "/bin/sh", "-c", "echo :$WHO"), ":\n")
        self.assertEqual(self.kubectl("exec", "-i", "two", "--", "cat", input="some\ninput"), "some\ninput")
        self.assertEqual(self.kubectl("exec", "two", "--", "cat", input="is not sent"), "")
        for code in (0, 1, 7, 255):
            done = self.run_kubectl("exec", "two", "--", "/bin/sh", "-c", f"exit {code}")
            self.assertEqual(done.returncode, code)
            self.assertEqual(done.stderr, f"command terminated with exit code {code}\n" if code else "")
        self.assertEqual(self.fails("exec", "two", "-c", "nope", "--", "ls"),
                         "Error from server (BadRequest): container nope is not valid for pod two\n")
        self.assertIn("no such file or directory", self.run_kubectl("exec", "two", "--", "/no/such").stderr)
        self.assertEqual(self.fails("exec", "nope", "--", "ls"), 'Error from server (NotFound): pods "nope" not found\n')
        path = self.file("pod.json", self.json("get", "pod", "two"))
        self.assertEqual(self.kubectl("exec", "-f", path, "--", "echo", "hi"), "hi\n")
        self.make_pod("over", "true", restartPolicy="Never")
        self.wait_phase("over", "Succeeded")
        self.assertIn("cannot exec into a container in a completed pod; current phase is Succeeded",
                      self.fails("exec", "over", "--", "ls"))

    def test_by_owner_and_service(self):
        pod = self.web()
        self.make_service("web")
        for target in ("deploy/web", "svc/web", f"rs/{pod.rsplit('-', 1)[0]}"):
            self.assertEqual(self.kubectl("exec", target, "--", "hostname"), pod + "\n")

    def test_a_silent_command_outlives_pings(self):
        """kubectl pings every five seconds and wants an answer while nothing else is sent."""
        self.run_pod("box", "exec sleep 1000")
        self.assertEqual(self.kubectl("exec", "box", "--", "/bin/sh", "-c", "sleep 7; echo awake"), "awake\n")

    def test_copy(self):
        self.run_pod("box", "exec sleep 1000", more_containers=[
            {"name": "other", "image": tools.IMAGE, "command": ["/bin/sh", "-c", "exec sleep 1000"]}])
        folder = self.folder()
        (folder / "in" / "deep").mkdir(parents=True)
        (folder / "in" / "a").write_text("A\n")
        (folder / "in" / "deep" / "b").write_bytes(os.urandom(100_000))
        self.kubectl("cp", str(folder / "in"), "box:/tmp/in")
        self.assertEqual(self.kubectl("exec", "box", "--", "cat", "/tmp/in/a"), "A\n")
        self.kubectl("cp", "box:/tmp/in", str(folder / "out"))
        self.assertEqual((folder / "out" / "deep" / "b").read_bytes(), (folder / "in" / "deep" / "b").read_bytes())
        self.kubectl("cp", str(folder / "in" / "a"), "box:/tmp/", "-c", "other")
        self.assertEqual(self.kubectl("exec", "box", "-c", "other", "--", "cat", "/tmp/a"), "A\n")
        self.kubectl("cp", "--no-preserve", f"{self.ns}/box:/tmp/a", str(folder / "again"), "-c", "other")
        self.assertEqual((folder / "again").read_text(), "A\n")
        self.assertIn("No such file or directory", self.fails("cp", str(folder / "in" / "a"), "box:/nope/deeper/", code=1))

    def test_attach(self):
        self.run_pod("reader", "while read line; do echo got-$line; done", container={"stdin": True})
        child = self.start("attach", "-i", "reader", "-c", "main", stdin=subprocess.PIPE)
        child.stdin.write("word\n")
        child.stdin.flush()
        self.assertEqual(self.line(child), "got-word\n")
        self.end(child)
        self.run_pod("talker", "while :; do echo tick; sleep 0.1; done")
        child = self.start("attach", "talker")
        self.assertEqual(self.line(child), "tick\n")
        self.end(child)
        self.web()
        child = self.start("attach", "deploy/web", "--pod-running-timeout=10s")
        self.end(child)
        self.assertIn("Unable to use a TTY", self.both_of_a_short_attach("talker"))

    def both_of_a_short_attach(self, pod: str) -> str:
        """`attach -it` without a terminal says so; the pod is deleted, so that it ends."""
        child = self.start("attach", "-it", pod, stdin=subprocess.DEVNULL)
        self.line(child)
        self.api.delete("pods", self.ns, pod, grace=0)
        return child.communicate(timeout=30)[1]


class Ports(NodeCase):
    def forward(self, *args) -> list:
        """The local ports of a running `kubectl port-forward`."""
        child = self.start("port-forward", *args)
        wanted = len([word for word in args[1:] if not word.startswith("-")])
        ports = []
        while len(ports) < wanted:
            line = self.line(child)
            self.assertTrue(line, child.stderr.read() if child.poll() is not None else "")
            if match := re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)\n", line):
                ports.append(int(match.group(1)))
        return ports

    def test_forward_to_everything(self):
        pod = self.web()
        self.make_service("web")
        self.wait_endpoints("web", 1)
        replica_set = pod.rsplit("-", 1)[0]
        for target, port in ((f"pod/{pod}", "8080"), (pod, "http"), ("deploy/web", "8080"), (f"rs/{replica_set}", "8080"),
                             ("svc/web", "80")):
            local, = self.forward(target, f":{port}", "--address=127.0.0.1")
            self.assertEqual(http(f"http://127.0.0.1:{local}/healthz"), "ok\n", target)

    def test_a_forward_that_nobody_uses_for_a_while(self):
        """kubectl sends its first ping ten seconds after it has connected, and wants it back."""
        self.run_pod("box", "mkdir /tmp/a; echo a > /tmp/a/index.html; exec httpd -f -p 9001 -h /tmp/a")
        local, = self.forward("box", ":9001")
        time.sleep(11)
        self.assertEqual(http(f"http://127.0.0.1:{local}/"), "a\n")

    def test_several_ports(self):
        self.run_pod("box", "mkdir /tmp/a /tmp/b; echo a > /tmp/a/index.html; echo b > /tmp/b/index.html; "
                            "httpd -p 9001 -h /tmp/a; exec httpd -f -p 9002 -h /tmp/b")
        one, two = self.forward("box", ":9001", ":9002")
        for _ in range(3):
            self.assertEqual((http(f"http://127.0.0.1:{one}/"), http(f"http://127.0.0.1:{two}/")), ("a\n", "b\n"))
        self.assertIn("Service web does not have a service port 81", self.no_such_port())
        self.assertIn('pods "nope" not found', self.fails("port-forward", "nope", "1:1"))

    def no_such_port(self) -> str:
        self.web()
        self.make_service("web")
        return self.fails("port-forward", "svc/web", ":81")

    def test_proxy(self):
        self.web()
        self.make_service("web", ports=[{"name": "http", "port": 80, "targetPort": "http"}])
        self.wait_endpoints("web", 1)
        folder = self.folder()
        (folder / "page").write_text("static\n")
        child = self.start("proxy", "--port=0", f"--www={folder}", "--www-prefix=/files/")
        port = re.search(r":(\d+)$", self.line(child).strip()).group(1)
        url = f"http://127.0.0.1:{port}"
        self.assertEqual(http(f"{url}/api/v1/namespaces/{self.ns}/services/web:http/proxy/healthz"), "ok\n")
        self.assertEqual(json.loads(http(f"{url}/api/v1/namespaces/{self.ns}/services/web"))["metadata"]["name"], "web")
        self.assertEqual(json.loads(http(f"{url}/version"))["major"], "1")
        self.assertEqual(http(f"{url}/files/page"), "static\n")
        with self.assertRaises(OSError):
            http(f"{url}/api/v1/namespaces/{self.ns}/pods/x/exec")


class Run(NodeCase):
    def test_flags(self):
        self.kubectl("run", "p", f"--image={tools.IMAGE}", "--port=8080", "--expose", "--env=A=1", "--env=B=two",
                     "--labels=x=y,app=p", "--annotations=note=word", "--image-pull-policy=Never",
                     '--overrides={"spec":{"terminationGracePeriodSeconds":1}}')
        pod = self.wait_ready("p")
        self.assertEqual((pod["metadata"]["labels"], pod["metadata"]["annotations"]["note"]), ({"x": "y", "app": "p"}, "word"))
        self.assertEqual(pod["spec"]["terminationGracePeriodSeconds"], 1)
        self.assertEqual(pod["spec"]["containers"][0]["env"], [{"name": "A", "value": "1"}, {"name": "B", "value": "two"}])
        self.assertEqual(self.json("get", "svc", "p")["spec"]["selector"], {"x": "y", "app": "p"})
        out = self.kubectl("run", "q", "--image=x", "--dry-run=client", "-o", "yaml", "--command", "--", "a", "b")
        self.assertIn("  - command:\n    - a\n    - b\n", out)
        self.assertEqual(self.kubectl("run", "q", "--image=x", "--dry-run=server"), "pod/q created (server dry run)\n")
        self.assertIn("AlreadyExists", self.fails("run", "p", "--image=x"))

    def test_attached(self):
        out = self.kubectl("run", "shot", f"--image={tools.IMAGE}", "--rm", "-i", "--restart=Never", "--quiet", "--command",
                           "--", "cat", input="through\n")
        self.assertEqual(out, "through\n")
        self.wait_gone("pods", "shot")
        # The exit code of the container is kubectl's.
        done = self.run_kubectl("run", "bad", f"--image={tools.IMAGE}", "--rm", "-i", "--restart=Never", "--quiet",
                                "--command", "--", "/bin/sh", "-c", "read line; exit 4", input="x\n")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.kubectl("run", "once", f"--image={tools.IMAGE}", "--restart=OnFailure", "--command", "--", "true")
        self.wait_phase("once", "Succeeded")
        out = self.kubectl("run", "seen", f"--image={tools.IMAGE}", "--attach", "--restart=Never", "--quiet", "--command",
                           "--", "/bin/sh", "-c", "sleep 1; echo done")
        self.assertIn("done\n", out)

    def test_debug(self):
        self.run_pod("app", "exec sleep 1000")
        out = self.kubectl("debug", "app", f"--image={tools.IMAGE}", "-c", "look", "--target=main", "--profile=general",
                           "--env=X=1", "-i", "--quiet", "--", "/bin/sh", "-c", "read w; echo got-$w-$X", input="it\n")
        self.assertIn("got-it-1", out)
        status = self.wait_pod("app", lambda pod: (pod["status"].get("ephemeralContainerStatuses") or [{}])[0].get(
            "state", {}).get("terminated"))["status"]["ephemeralContainerStatuses"][0]
        self.assertEqual((status["name"], status["state"]["terminated"]["exitCode"]), ("look", 0))
        self.assertIn("look:\n", self.kubectl("describe", "pod", "app"))
        self.assertIn("got-it-1\n", self.kubectl("logs", "app", "-c", "look"))
        self.kubectl("debug", "app", "--copy-to=twin", "--container=main", "--attach=false", "--same-node", "--", "sleep",
                     "300")
        twin = self.wait_ready("twin")
        self.assertEqual(twin["spec"]["containers"][0]["command"], ["sleep", "300"])
        self.assertEqual(twin["spec"]["nodeName"], "moth-test")
        self.kubectl("debug", "app", "--copy-to=other", f"--image={tools.IMAGE}", "--share-processes", "--attach=false",
                     "--replace", "--", "sleep", "300")
        self.wait_gone("pods", "app")
        self.assertEqual(len(self.wait_ready("other")["spec"]["containers"]), 2)
        out = self.kubectl("debug", "node/moth-test", f"--image={tools.IMAGE}", "--attach=false", "--profile=sysadmin", "--",
                           "/bin/sh", "-c", "test -d /host/proc && echo host; sleep 100")
        name = re.search(r"Creating debugging pod (\S+) with container debugger on node moth-test", out).group(1)
        self.wait_phase(name, "Running")
        self.assertTrue(eventually(lambda: self.kubectl("logs", name) == "host\n"))


    def test_debug_profiles(self):
        self.run_pod("app", "exec sleep 1000")
        for profile in ("general", "baseline", "netadmin", "sysadmin", "restricted"):
            self.kubectl("debug", "app", f"--image={tools.IMAGE}", f"--profile={profile}", "-c", profile, "--attach=false",
                         "--", "sleep", "300")

        def settled(pod) -> bool:
            statuses = pod["status"].get("ephemeralContainerStatuses", [])
            # The image runs as root, which one profile forbids.
            return sorted((status["name"], status["state"].get("waiting", {}).get("reason", "runs" if "running" in
                           status["state"] else "")) for status in statuses) == [
                ("baseline", "runs"), ("general", "runs"), ("netadmin", "runs"),
                ("restricted", "CreateContainerConfigError"), ("sysadmin", "runs")]
        self.wait_pod("app", settled)
        capabilities = {name: int(self.kubectl("exec", "app", "-c", name, "--", "awk", "/CapEff/{print $2}",
                                               "/proc/self/status"), 16) for name in ("general", "netadmin", "sysadmin")}
        net_admin, sys_admin = 1 << 12, 1 << 21
        self.assertFalse(capabilities["general"] & (net_admin | sys_admin))
        self.assertTrue(capabilities["netadmin"] & net_admin)
        self.assertTrue(capabilities["sysadmin"] & sys_admin)


class Top(NodeCase):
    def test_top(self):
        self.run_pod("busy", "while :; do :; done", labels={"set": "top"}, container={
            "resources": {"limits": {"cpu": "200m"}}})
        self.run_pod("idle", "exec sleep 1000", labels={"set": "top"})
        # Usage needs two samples, and no watch tells when they are there.
        self.assertTrue(eventually(lambda: len(lines(self.run_kubectl("top", "pods", "--no-headers").stdout)) == 2, 40, 0.5))
        self.assertRegex(self.kubectl("top", "pods"), r"NAME +CPU\(cores\) +MEMORY\(bytes\) *\n(\w+ +\d+m +\d+Mi *\n){2}")
        self.assertTrue(eventually(lambda: words(self.kubectl("top", "pods", "--sort-by=cpu", "--no-headers"))
                                   == ["busy", "idle"], 40, 0.5))
        self.assertRegex(self.kubectl("top", "pod", "busy", "--containers"), r"POD +NAME +CPU\(cores\) +MEMORY\(bytes\) *\n"
                                                                             r"busy +main +\d+m +\d+Mi")
        self.assertEqual(len(lines(self.kubectl("top", "pods", "-l", "set=top", "--no-headers"))), 2)
        self.assertEqual(words(self.kubectl("top", "pods", "--field-selector=metadata.name=idle", "--no-headers")), ["idle"])
        self.assertIn(self.ns, self.kubectl("top", "pods", "-A"))
        self.assertRegex(self.kubectl("top", "pods", "--sum"), r"(?s)________.*\d+m +\d+Mi")
        self.assertRegex(self.kubectl("top", "nodes"), r"NAME +CPU\(cores\) +CPU\(%\) +MEMORY\(bytes\) +MEMORY\(%\) *\n"
                                                       r"moth-test +\d+m +\d+% +\d+Mi +\d+%")
        self.assertEqual(words(self.kubectl("top", "node", "moth-test", "--show-capacity", "--no-headers")), ["moth-test"])
        self.assertIn("NotFound", self.fails("top", "pod", "nope"))
        self.assertIn("No resources found", self.both("top", "pods", "-l", "set=none")[1])
        self.assertEqual(words(self.kubectl("top", "nodes", "-l", "kubernetes.io/hostname=moth-test", "--no-headers")),
                         ["moth-test"])
        self.assertIn("metrics not available yet", self.fails("top", "nodes", "-l", "kubernetes.io/hostname=other"))

    def test_dump_and_describe_of_the_real_node(self):
        self.run_pod("talker", "echo in-the-dump; exec sleep 1000")
        folder = self.folder()
        self.kubectl("cluster-info", "dump", "--output-directory", str(folder), "--namespaces", self.ns)
        self.assertIn("in-the-dump", (folder / self.ns / "talker" / "logs.txt").read_text())
        text = self.kubectl("describe", "node", "moth-test")
        for part in ("Ready            True", "InternalIP:", "Container Runtime Version:", "PodCIDR:", "talker"):
            self.assertIn(part, text)
        self.assertRegex(self.kubectl("get", "nodes", "-o", "wide"),
                         r"INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME\nmoth-test +Ready +")
        self.assertRegex(self.kubectl("get", "pod", "talker", "-o", "wide"),
                         r"talker +1/1 +Running +0 +\S+ +10\.\S+ +moth-test +<none> +<none>\n")
