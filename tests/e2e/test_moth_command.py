"""`moth`, the command line, against a daemon of its own, and side by side with kubectl."""
import contextlib
import json
import os
import re
import select
import signal
import stat
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.request

from harness import tools
from harness.case import BIN, ClusterCase, http, need_moth

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: %s
        ports: [{name: http, containerPort: 8080}]
        command: [/bin/sh, -c, "mkdir -p /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www"]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: main, port: 80, targetPort: http}]}
""" % tools.IMAGE


@need_moth
class MothCase(ClusterCase):
    def moth(self, *args, **kwargs) -> str:
        return self.daemon.moth("-n", self.ns, *args, **kwargs).stdout

    def fails(self, *args, code: int = 1, **kwargs) -> str:
        done = self.daemon.moth("-n", self.ns, *args, check=False, **kwargs)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr

    def web(self) -> None:
        self.moth("apply", "-f", "-", input=WEB)
        self.moth("rollout", "status", "deploy/web", "--timeout=60s", timeout=90)

    @contextlib.contextmanager
    def running(self, *args):
        """A moth that goes on until it is ended; gives the process with its stdout."""
        process = subprocess.Popen([os.path.join(BIN, "moth"), "-n", self.ns, *args], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.daemon.environment())
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
            process.stdout.close()
            process.stderr.close()

    def line(self, process, timeout: float = 10) -> str:
        ready, _, _ = select.select([process.stdout], [], [], timeout)
        self.assertTrue(ready, "nothing was printed")
        return process.stdout.readline().decode()


def get(port: int, path: str = "/", timeout: float = 5) -> str:
    return http(f"http://127.0.0.1:{port}{path}", timeout)


class EveryDay(MothCase):
    def test_an_application_from_apply_to_delete(self):
        self.assertEqual(self.moth("apply", "-f", "-", input=WEB),
                         "deployment.apps/web created\nservice/web created\n")
        self.assertIn("successfully rolled out", self.moth("rollout", "status", "deploy/web", timeout=90))
        self.assertEqual(self.moth("apply", "-f", "-", input=WEB),
                         "deployment.apps/web unchanged\nservice/web unchanged\n")
        self.assertEqual(self.moth("get", "deploy", "web", "-o", "go-template={{.status.readyReplicas}}"), "2")
        self.assertEqual(self.moth("exec", "deploy/web", "--", "cat", "/www/index.html"), "hello\n")
        self.fails("exec", "deploy/web", "--", "sh", "-c", "exit 7", code=7)
        described = self.moth("describe", "deploy", "web")
        self.assertRegex(described, r"Replicas:\s+2 desired \| 2 updated \| 2 total \| 2 available")
        self.assertEqual(self.moth("scale", "deploy/web", "--replicas=1", "--current-replicas=2"),
                         "deployment.apps/web scaled\n")
        self.assertIn("Expected replicas to be 5, was 1",
                      self.fails("scale", "deploy/web", "--replicas=1", "--current-replicas=5"))
        self.assertEqual(self.moth("set", "env", "deploy/web", "A=b"), "deployment.apps/web env updated\n")
        self.assertIn("A=b", self.moth("set", "env", "deploy/web", "--list"))
        self.moth("rollout", "status", "deploy/web", timeout=90)
        self.assertEqual(self.moth("rollout", "undo", "deploy/web"), "deployment.apps/web rolled back\n")
        self.assertEqual(self.moth("delete", "deploy,svc", "web"),
                         f'deployment.apps "web" deleted from {self.ns} namespace\n'
                         f'service "web" deleted from {self.ns} namespace\n')
        self.assertIn("NotFound", self.fails("get", "deploy", "web"))

    def test_apply_prunes_what_is_no_longer_there(self):
        def cm(*names):
            return "---\n".join(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: a}}}}\n"
                                for name in names)
        self.moth("apply", "-f", "-", input=cm("one", "two"))
        self.moth("create", "cm", "three")
        self.moth("label", "cm", "three", "set=a")
        self.assertIn("--all", self.fails("apply", "-f", "-", "--prune", input=cm("one")))
        self.assertEqual(self.moth("apply", "-f", "-", "--prune", "-l", "set=a", input=cm("one")),
                         "configmap/one unchanged\nconfigmap/two pruned\n")
        # What was not applied is not pruned.
        self.assertEqual(self.moth("get", "cm", "-l", "set=a", "-o", "name"), "configmap/one\nconfigmap/three\n")

    def test_diff_says_by_its_code_what_it_found(self):
        manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1'}\n"
        self.moth("apply", "-f", "-", input=manifest)
        self.assertEqual(self.moth("diff", "-f", "-", input=manifest), "")
        done = self.daemon.moth("-n", self.ns, "diff", "-f", "-", input=manifest.replace("'1'", "'2'"), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('-  a: "1"', done.stdout)
        self.assertIn('+  a: "2"', done.stdout)
        self.fails("diff", "-f", "/nope", code=2)
        environment = dict(self.daemon.environment(), KUBECTL_EXTERNAL_DIFF="diff -q -N")
        done = subprocess.run([os.path.join(BIN, "moth"), "-n", self.ns, "diff", "-f", "-"], text=True,
                              input=manifest.replace("'1'", "'2'"), capture_output=True, env=environment, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("differ", done.stdout)
        # Nothing was changed by looking.
        self.assertEqual(self.moth("get", "cm", "c", "-o", "jsonpath={.data.a}"), "1")
        # What a Secret holds is not shown.
        secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {p: %s}\n"
        self.moth("apply", "-f", "-", input=secret % "b25l")
        done = self.daemon.moth("-n", self.ns, "diff", "-f", "-", input=secret % "dHdv", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("*** (after)", done.stdout)
        self.assertNotIn("+  p: dHdv", done.stdout)

    def test_last_applied(self):
        self.moth("apply", "-f", "-", input="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1'}\n")
        self.assertIn('data:\n  a: "1"\n', self.moth("apply", "view-last-applied", "cm", "c"))
        self.moth("apply", "set-last-applied", "-f", "-",
                  input="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '2'}\n")
        self.assertIn('data:\n  a: "2"\n', self.moth("apply", "view-last-applied", "cm", "c"))

    def test_edit_with_an_editor_of_our_own(self):
        self.moth("create", "cm", "c", "--from-literal=a=old")
        editor = self.daemon.folder + "/editor"
        with open(editor, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nsed -i 's/a: old/a: new/' \"$1\"\n")
        os.chmod(editor, 0o755)
        environment = dict(self.daemon.environment(), KUBE_EDITOR=editor)
        command = [os.path.join(BIN, "moth"), "-n", self.ns, "edit", "cm", "c", "--output-patch"]
        done = subprocess.run(command, text=True, capture_output=True, env=environment, timeout=30)
        self.assertEqual(done.stdout, 'Patch: {"data":{"a":"new"}}\nconfigmap/c edited\n', done.stderr)
        self.assertEqual(self.moth("get", "cm", "c", "-o", "jsonpath={.data.a}"), "new")
        done = subprocess.run(command, text=True, capture_output=True, env=environment, timeout=30)
        self.assertEqual(done.stdout, "Edit cancelled, no changes made.\n", done.stderr)

    def test_replace_patch_label_annotate(self):
        self.moth("create", "cm", "c", "--from-literal=a=1")
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"b": "2"}}
        self.assertEqual(self.moth("replace", "-f", "-", input=json.dumps(body)), "configmap/c replaced\n")
        uid = self.moth("get", "cm", "c", "-o", "jsonpath={.metadata.uid}")
        self.assertIn("configmap/c replaced", self.moth("replace", "--force", "-f", "-", input=json.dumps(body)))
        self.assertNotEqual(self.moth("get", "cm", "c", "-o", "jsonpath={.metadata.uid}"), uid)
        self.assertEqual(self.moth("patch", "cm", "c", "-p", '{"data":{"c":"3"}}'), "configmap/c patched\n")
        self.assertEqual(self.moth("patch", "cm", "c", "-p", '{"data":{"c":"3"}}'), "configmap/c patched (no change)\n")
        self.assertEqual(self.moth("label", "cm", "c", "x=y"), "configmap/c labeled\n")
        self.assertIn("already has a value (y), and --overwrite is false", self.fails("label", "cm", "c", "x=z"))
        self.assertEqual(self.moth("annotate", "cm", "c", "n=1"), "configmap/c annotated\n")
        self.assertEqual(self.moth("get", "cm", "c", "-o", "jsonpath={.metadata.labels.x}{.metadata.annotations.n}"),
                         "y1")
        self.assertEqual(self.moth("label", "cm", "c", "x-"), "configmap/c unlabeled\n")

    def test_raw_requests(self):
        path = f"/api/v1/namespaces/{self.ns}/configmaps"
        body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"raw"}}'
        self.assertEqual(json.loads(self.moth("create", "--raw", path, "-f", "-", input=body))["kind"], "ConfigMap")
        self.assertEqual(json.loads(self.moth("get", "--raw", path + "/raw"))["metadata"]["name"], "raw")
        self.assertEqual(json.loads(self.moth("delete", "--raw", path + "/raw"))["status"], "Success")

    def test_delete_asks_when_it_is_to(self):
        self.moth("create", "cm", "c")
        self.assertIn("deletion is cancelled", self.moth("delete", "-i", "cm", "c", input="n\n"))
        self.assertIn('configmap "c" deleted', self.moth("delete", "-i", "cm", "c", input="y\n"))

    def test_manifests_from_the_network(self):
        class Files:
            def __enter__(self):
                import http.server

                class Handler(http.server.BaseHTTPRequestHandler):
                    def do_GET(self):
                        found = self.path == "/c.yaml"
                        self.send_response(200 if found else 404)
                        self.end_headers()
                        if found:
                            self.wfile.write(b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: far}\n")

                    def log_message(self, *_):
                        pass
                self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
                threading.Thread(target=self.server.serve_forever, daemon=True).start()
                return f"http://127.0.0.1:{self.server.server_address[1]}"

            def __exit__(self, *_):
                self.server.shutdown()
                self.server.server_close()
        with Files() as address:
            self.assertEqual(self.moth("apply", "-f", address + "/c.yaml"), "configmap/far created\n")
            self.assertIn("server reported 404", self.fails("apply", "-f", address + "/nope.yaml"))

    def test_taint_and_cordon(self):
        node = "moth-test"
        self.assertEqual(self.moth("taint", "node", node, "t=v:PreferNoSchedule"), f"node/{node} tainted\n")
        self.addCleanup(self.daemon.moth, "taint", "node", node, "t-", check=False)
        self.assertIn("already has a taint", self.fails("taint", "node", node, "t=w:PreferNoSchedule"))
        self.assertEqual(self.moth("taint", "node", node, "t=w:PreferNoSchedule", "--overwrite"),
                         f"node/{node} modified\n")
        self.assertEqual(self.moth("taint", "node", node, "t-"), f"node/{node} untainted\n")
        self.assertEqual(self.moth("cordon", node), f"node/{node} cordoned\n")
        self.addCleanup(self.daemon.moth, "uncordon", node, check=False)
        self.assertIn("SchedulingDisabled", self.moth("get", "nodes"))
        self.assertEqual(self.moth("uncordon", node), f"node/{node} uncordoned\n")

    def test_plugins_run_as_commands(self):
        folder = self.daemon.folder + "/plugins"
        os.makedirs(folder)
        with open(folder + "/kubectl-foo_bar", "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho \"plugin $@\"; exit 3\n")
        os.chmod(folder + "/kubectl-foo_bar", 0o755)
        environment = dict(self.daemon.environment(), PATH=folder + ":" + os.environ["PATH"])
        done = subprocess.run([os.path.join(BIN, "moth"), "foo-bar", "a", "-b"], text=True, capture_output=True,
                              env=environment, timeout=30)
        self.assertEqual((done.returncode, done.stdout), (3, "plugin a -b\n"))
        done = subprocess.run([os.path.join(BIN, "moth"), "plugin", "list"], text=True, capture_output=True,
                              env=environment, timeout=30)
        self.assertIn(folder + "/kubectl-foo_bar\n", done.stdout)

    def test_completion_knows_the_servers_names(self):
        self.moth("create", "cm", "settings")
        self.assertEqual(self.moth("__complete", "--", "-n", self.ns, "get", "cm", "sett"), "settings\n")
        self.assertEqual(self.moth("__complete", "--", "-n", self.ns, "get", "configmap/sett"),
                         "configmap/settings\n")
        self.assertIn("configmaps", self.moth("__complete", "--", "get", "config"))
        self.assertIn(self.ns, self.moth("__complete", "--", "get", "pods", "-n", self.ns[:4]))


class Streams(MothCase):
    def test_copy_both_ways(self):
        self.run_pod("p", "sleep 1000")
        source = self.daemon.folder + "/tree"
        os.makedirs(source + "/sub/" + "d" * 120)
        big = os.urandom(3_000_001)
        for name, content in (("a.txt", b"alpha"), ("empty", b""), ("big", big),
                              ("sub/" + "d" * 120 + "/deep", b"deep")):
            with open(f"{source}/{name}", "wb") as file:
                file.write(content)
        os.chmod(source + "/a.txt", 0o750)
        self.moth("cp", source, "p:/tmp/copy")
        self.assertEqual(self.moth("exec", "p", "--", "cat", "/tmp/copy/a.txt"), "alpha")
        self.assertEqual(self.moth("exec", "p", "--", "stat", "-c", "%a", "/tmp/copy/a.txt"), "750\n")
        # Into a folder that is there, under its own name.
        self.moth("cp", source + "/a.txt", f"{self.ns}/p:/tmp")
        self.assertEqual(self.moth("exec", "p", "--", "cat", "/tmp/a.txt"), "alpha")
        back = self.daemon.folder + "/back"
        self.moth("cp", "p:/tmp/copy", back)
        for name, content in (("a.txt", b"alpha"), ("empty", b""), ("big", big),
                              ("sub/" + "d" * 120 + "/deep", b"deep")):
            with open(f"{back}/{name}", "rb") as file:
                self.assertEqual(file.read(), content, name)
        self.assertEqual(stat.S_IMODE(os.stat(back + "/a.txt").st_mode), 0o750)
        one = self.daemon.folder + "/one.txt"
        self.moth("cp", "p:/tmp/a.txt", one)
        with open(one, "rb") as file:
            self.assertEqual(file.read(), b"alpha")
        self.fails("cp", "p:/nope", one + "2")
        self.fails("cp", "/nope-there", "p:/tmp/x")

    def test_port_forward_to_a_pod_and_a_service(self):
        self.web()
        for target, ports in (("deploy/web", ":8080"), ("svc/web", ":main"), ("svc/web", "0:80")):
            with self.running("port-forward", target, ports) as process:
                told = self.line(process)
                found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> 8080\n", told)
                self.assertTrue(found, told)
                for _ in range(5):
                    self.assertEqual(get(int(found.group(1))), "hello\n")
                    self.assertIsNone(process.poll())

    def test_port_forward_ends_when_the_port_refuses(self):
        self.web()
        with self.running("port-forward", "deploy/web", ":9", "--address", "127.0.0.1") as process:
            port = int(re.search(r":(\d+) ->", self.line(process)).group(1))
            with self.assertRaises((urllib.error.URLError, OSError)):
                get(port)
            self.assertEqual(process.wait(10), 1)
            self.assertIn(b"an error occurred forwarding", process.stderr.read())

    def test_many_connections_at_once(self):
        self.web()
        with self.running("port-forward", "deploy/web", ":8080") as process:
            port = int(re.search(r":(\d+) ->", self.line(process)).group(1))
            drain = threading.Thread(target=process.stdout.read, daemon=True)
            drain.start()
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(get(port))) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(answers, ["hello\n"] * 20)
            process.terminate()
            drain.join(10)

    def test_proxy(self):
        with self.running("proxy", "--port=0", "--www=/usr/share", "--www-prefix=/files/") as process:
            port = int(re.match(r"Starting to serve on 127\.0\.0\.1:(\d+)", self.line(process)).group(1))
            self.assertIn("gitVersion", get(port, "/version"))
            self.assertEqual(json.loads(get(port, f"/api/v1/namespaces/{self.ns}"))["metadata"]["name"], self.ns)
            for path in (f"/api/v1/namespaces/{self.ns}/pods/x/exec", "/files/../../etc/passwd"):
                with self.assertRaises(urllib.error.HTTPError) as raised:
                    get(port, path)
                self.assertIn(raised.exception.code, (403, 404))
                raised.exception.close()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/version", headers={"Host": "evil.example"})
            with self.assertRaises(urllib.error.HTTPError) as raised:
                urllib.request.urlopen(request, timeout=5)
            self.assertEqual(raised.exception.code, 403)
            raised.exception.close()
            # A watch passes piece by piece.
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/namespaces/{self.ns}/configmaps?watch=true",
                                        timeout=10) as watch:
                self.moth("create", "cm", "seen")
                names = {json.loads(watch.readline())["object"]["metadata"]["name"] for _ in range(1)}
                self.assertTrue(names)

    def test_run_attached_and_removed(self):
        done = self.daemon.moth("-n", self.ns, "run", "-i", "--rm", "--quiet", "cat", "--image", tools.IMAGE,
                                "--restart=Never", "--", "/bin/sh", "-c", "read x; echo got $x", input="word\n")
        self.assertEqual(done.stdout, "got word\n", done.stderr)
        self.assertIn("NotFound", self.fails("get", "pod", "cat"))

    def test_debug_by_a_container_and_by_a_copy(self):
        self.run_pod("p", "sleep 1000")
        for words in ("one", "two"):
            done = self.daemon.moth("-n", self.ns, "debug", "p", "--image", tools.IMAGE, "--profile=general", "-q", "-i",
                                    "--", "/bin/sh", "-c", f"echo {words} from the debugger", input="", timeout=40)
            self.assertEqual(done.stdout, f"{words} from the debugger\n", done.stderr)
        names = self.api.get("pods", self.ns, "p")["spec"]["ephemeralContainers"]
        self.assertEqual([" ".join(item["command"]).split()[-4] for item in names], ["one", "two"])
        self.moth("debug", "p", "--copy-to=copy", "--container=main", "--profile=general", "--", "sleep", "1000")
        self.wait_ready("copy")
        self.assertEqual(self.moth("get", "pod", "copy", "-o", "jsonpath={.spec.containers[0].command}"),
                         '["sleep","1000"]')
        self.assertIn("you must specify --image", self.fails("debug", "p", "--copy-to=x", "--profile=general"))

    def test_logs(self):
        self.run_pod("p", "echo one; echo two; sleep 1000")
        self.assertEqual(self.moth("logs", "p"), "one\ntwo\n")
        self.assertEqual(self.moth("logs", "p", "--tail=1"), "two\n")
        self.assertEqual(self.moth("logs", "-l", "app=p", "--prefix"), "[pod/p/main] one\n[pod/p/main] two\n")


# Commands whose output has to be kubectl's, word for word. {pod} is a pod of the Deployment.
SAME = """
get pods
get pods -o wide
get pods --show-labels
get pods -L app
get deploy,svc
get all
get pod,deploy --no-headers
get deploy web -o name
get deploy web -o json
get deploy web -o yaml
get deploy web -o kyaml
get deploy -o yaml
get deploy web -o jsonpath={.spec.replicas}
get pods -o jsonpath={range.items[*]}{.metadata.name}{end}
get deploy web -o go-template={{.metadata.name}}{{.spec.replicas}}
get pods -o custom-columns=N:.metadata.name,P:.status.phase
get pods --sort-by=.metadata.name --no-headers
get deploy web --subresource=scale -o yaml
get pod nope
get pod nope --ignore-not-found
get nopes
get deploy/web svc/web
get pods {pod} nope
get cm -A -o name
get pods --server-print=false
get --raw /nope
describe deploy web
describe svc web
describe rs
describe pod {pod}
describe ns default
describe sa default
describe node moth-test
describe endpointslices
api-resources
api-resources -o wide
api-resources --namespaced=false -o name
api-versions
cluster-info
explain deploy.spec.strategy
explain pod.spec.containers.resources --recursive
explain pods.nope
config view
config get-contexts
config current-context
rollout status deploy/web
rollout history deploy/web
rollout history deploy/web --revision=1
exec {pod} -- echo hi
exec {pod}
exec deploy/web -- false
logs deploy/web
logs nope
wait --for=condition=Available deploy/web --timeout=5s
wait --for=jsonpath={.spec.replicas}=2 deploy/web
wait --for=delete pod/nope
label pod {pod} x=y --dry-run=server
label pod {pod} app=y
annotate pod {pod} a=b --dry-run=client
set image deploy/web main=x --dry-run=server
set env deploy/web --list
set resources deploy web --limits=cpu=1 --dry-run=server
scale deploy web
scale deploy nope --replicas=1
delete deploy web --dry-run=server
delete pod nope
delete pods --all --dry-run=client
patch deploy web --type=nope -p {}
taint node moth-test a=b:Foo
taint node moth-test nope-
cordon moth-test --dry-run=server
expose deploy web --port=80 --name=x --dry-run=client -o yaml
autoscale deploy web --max=5 --cpu=70% --dry-run=client -o yaml
create deployment d --image=a/b:1 --image=c --replicas=3 --dry-run=client -o yaml
create cm x --from-literal=a=b --dry-run=client -o yaml
create secret generic x --from-literal=a=b --dry-run=client -o yaml
create secret docker-registry x --docker-username=u --docker-password=p --dry-run=client -o yaml
create svc nodeport x --tcp=80 --node-port=31801 --dry-run=client -o yaml
create svc externalname x --external-name=a.b --dry-run=client -o yaml
create cronjob c --image=i --schedule=@daily --dry-run=client -o yaml
create ingress i --rule=h/p*=s:80,tls=sec --dry-run=client -o yaml
create pdb p --selector=a=b --min-available=50% --dry-run=client -o yaml
create quota q --hard=cpu=1,pods=2 --dry-run=client -o yaml
create priorityclass q --value=1 --dry-run=client -o yaml
create rolebinding rb --role=x --user=u --serviceaccount=a:b --dry-run=client -o yaml
create job j --image=x --dry-run=client -o yaml
create ns default
create sa default
run p --image=x --env=A=b --dry-run=client -o yaml
get pods -n nope
get pods -o bogus
"""


class SideBySide(MothCase):
    """What scripts see of moth is what they see of kubectl."""

    def normal(self, text: str) -> str:
        text = text.replace("kubectl.kubernetes.io", "KKK").replace("kubectl", "moth").replace("KKK",
                                                                                               "kubectl.kubernetes.io")
        text = re.sub(r"\b\d+m?\d*s\b", "AGE", text)
        return re.sub(r" +", " ", text)

    def test_the_same_output_and_codes(self):
        self.web()
        pod = self.moth("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
        different = []
        lines = [line for line in SAME.splitlines() if line]
        for line in lines:
            words = ["-n", self.ns] if " -n " not in line else []
            words = line.replace("{pod}", pod).split() if "{pod}" in line else line.split()
            words = words[:1] + (["-n", self.ns] if "-n" not in words else []) + words[1:]
            theirs = self.daemon.kubectl(*words, check=False)
            ours = self.daemon.moth(*words, check=False)
            for what, one, other in (("code", theirs.returncode, ours.returncode),
                                     ("stdout", self.normal(theirs.stdout), self.normal(ours.stdout)),
                                     ("stderr", self.normal(theirs.stderr), self.normal(ours.stderr))):
                if one != other:
                    different.append(f"{line}: {what}:\n--- kubectl\n{one}\n--- moth\n{other}")
        self.note(f"{len(lines)} commands")
        self.assertEqual(different, [], "\n".join(different)[:6000])

    def test_moth_has_all_of_kubectls_flags(self):
        """Commands and flags of kubectl that moth does not have; the list below says why."""
        allowed = {("run", "filename"), ("run", "kustomize"), ("run", "recursive"), ("exec", "filename")}

        def help_of(program, path):
            run = self.daemon.kubectl if program == "kubectl" else self.daemon.moth
            return run(*path, "--help").stdout if path else run("options").stdout

        def flags_of(text):
            return set(re.findall(r"^\s+(?:-\w, )?--([\w-]+)=", text, re.M))

        def children_of(text):
            found = []
            for section in re.findall(r"^[\w ()]*Commands?[\w ()]*:\n((?:  \S.*\n)+)", text, re.M):
                found += [line.split()[0] for line in section.splitlines()]
            return found
        missing = []

        def walk(path):
            theirs = help_of("kubectl", path)
            ours = help_of("moth", path)
            for flag in flags_of(theirs) - flags_of(ours):
                if (path[0] if path else "", flag) not in allowed and path[:1] != ["kustomize"]:
                    missing.append(f"{' '.join(path) or '(global)'} --{flag}")
            commands = children_of(self.daemon.kubectl("--help").stdout if not path else theirs)
            known = self.daemon.moth(*path, "--help").stdout
            for child in commands:
                if child in ("alpha",):
                    continue
                if not re.search(rf"^  {re.escape(child)}\s", known, re.M):
                    missing.append(" ".join(path + [child]))
                else:
                    walk(path + [child])
        walk([])
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
