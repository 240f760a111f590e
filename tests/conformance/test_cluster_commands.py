"""kubectl 1.35, unchanged: what asks about the cluster itself (api-resources, api-versions, cluster-info, version, explain,
events, auth) and the commands that hardly ask anybody (config, completion, plugin, kuberc)."""
import json
import os

from harness.case import eventually
from kubectl_case import KubectlCase, lines, words

DISCOVERY = ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
             "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json")


class Discovery(KubectlCase):
    def test_aggregated_and_legacy_forms(self):
        for path in ("/api", "/apis"):
            code, headers, body = self.api.raw("GET", path, headers={"Accept": DISCOVERY})
            self.assertEqual((code, headers["Content-Type"]),
                             (200, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"))
            found = json.loads(body)
            self.assertEqual(found["kind"], "APIGroupDiscoveryList")
            if path == "/api":
                self.assertEqual([item["metadata"].get("name", "") for item in found["items"]], [""])
            # The client revalidates what it has kept.
            self.assertEqual(self.api.raw("GET", path, headers={"Accept": DISCOVERY,
                                                                "If-None-Match": headers["ETag"]})[0], 304)
        self.assertEqual(json.loads(self.kubectl("get", "--raw", "/api"))["kind"], "APIVersions")
        self.assertEqual(json.loads(self.kubectl("get", "--raw", "/apis"))["kind"], "APIGroupList")
        self.assertEqual(json.loads(self.kubectl("get", "--raw", "/apis/apps"))["kind"], "APIGroup")
        core = json.loads(self.kubectl("get", "--raw", "/api/v1"))
        eviction = next(item for item in core["resources"] if item["name"] == "pods/eviction")
        self.assertEqual((eviction["group"], eviction["version"], eviction["kind"]), ("policy", "v1", "Eviction"))

    def test_kubectl_asks_twice_and_then_remembers(self):
        cache = ["--cache-dir", str(self.folder())]
        first = [path for _, path, _ in self.requests("get", "cm", *cache)]
        self.assertEqual([path for path in first if path.startswith(("/api?", "/apis?"))],
                         ["/api?timeout=32s", "/apis?timeout=32s"])
        self.assertEqual(len(first), 3, first)
        self.assertEqual(len(self.requests("get", "cm", *cache)), 1)

    def test_api_resources(self):
        table = self.kubectl("api-resources")
        self.assertRegex(table, r"^NAME +SHORTNAMES +APIVERSION +NAMESPACED +KIND\n")
        self.assertRegex(table, r"(?m)^deployments +deploy +apps/v1 +true +Deployment$")
        self.assertRegex(table, r"(?m)^nodes +no +v1 +false +Node$")
        wide = self.kubectl("api-resources", "-o", "wide")
        self.assertRegex(wide, r"(?m)^configmaps +cm +v1 +true +ConfigMap +create,delete,deletecollection,get,list,patch,"
                               r"update,watch *$")
        self.assertRegex(wide, r"(?m)^pods +po +v1 .* all *$")
        names = self.kubectl("api-resources", "--namespaced=false", "-o", "name").split()
        self.assertIn("nodes", names)
        self.assertNotIn("pods", names)
        self.assertEqual(sorted(words(self.kubectl("api-resources", "--api-group=apps", "--no-headers"))),
                         ["controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"])
        self.assertIn("selfsubjectreviews.authentication.k8s.io",
                      self.kubectl("api-resources", "--verbs=create", "-o", "name").split())
        self.assertNotIn("selfsubjectreviews.authentication.k8s.io",
                         self.kubectl("api-resources", "--verbs=list,get", "-o", "name").split())
        self.assertEqual(sorted(self.kubectl("api-resources", "--categories=all", "-o", "name").split()),
                         ["cronjobs.batch", "daemonsets.apps", "deployments.apps", "horizontalpodautoscalers.autoscaling",
                          "jobs.batch", "pods", "replicasets.apps", "replicationcontrollers", "services",
                          "statefulsets.apps"])
        kinds = [line.split()[-1] for line in lines(self.kubectl("api-resources", "--sort-by=kind", "--no-headers"))]
        self.assertEqual(kinds, sorted(kinds))
        names = words(self.kubectl("api-resources", "--sort-by=name", "--no-headers", "--cached"))
        self.assertEqual(names, sorted(names))
        self.assertEqual(json.loads(self.kubectl("api-resources", "-o", "json"))["kind"], "APIResourceList")

    def test_short_names(self):
        table = self.kubectl("api-resources", "--no-headers")
        for short in ("po svc cm ns no ev sa pv pvc ep rc quota limits deploy rs sts ds cj hpa ing netpol pdb pc sc crd,crds "
                      "csr").split():
            self.assertRegex(table, rf"(?m)^\S+ +{short} +", short)

    def test_api_versions(self):
        versions = self.kubectl("api-versions").split()
        for version in ("v1", "apps/v1", "batch/v1", "autoscaling/v1", "autoscaling/v2", "metrics.k8s.io/v1beta1",
                        "apiextensions.k8s.io/v1"):
            self.assertIn(version, versions)
        self.assertEqual(versions, sorted(versions))

    def test_version(self):
        text = self.kubectl("version")
        self.assertRegex(text, r"Client Version: v1\.35\.\d+\nKustomize Version: \S+\nServer Version: v1\.3[4-6]\.")
        self.assertEqual(self.both("version")[1], "")  # no warning about the difference
        found = self.json("version")
        self.assertEqual(found["serverVersion"]["major"], "1")
        self.assertIn("gitVersion", self.kubectl("version", "-o", "yaml"))
        self.assertNotIn("Server", self.kubectl("version", "--client"))

    def test_explain(self):
        text = self.kubectl("explain", "pods")
        self.assertRegex(text, r"^KIND: +Pod\nVERSION: +v1\n\nDESCRIPTION:\n")
        self.assertRegex(text, r"  spec\t<PodSpec>\n")
        text = self.kubectl("explain", "deploy.spec.template.spec.containers.ports")
        self.assertRegex(text, r"GROUP: +apps\nKIND: +Deployment\nVERSION: +v1\n\nFIELD: ports <\[\]ContainerPort>")
        self.assertRegex(text, r"  containerPort\t<integer> -required-\n")
        self.assertIn("FIELD: type <string>\n", self.kubectl("explain", "deploy.spec.strategy.type"))
        text = self.kubectl("explain", "svc.spec", "--recursive")
        self.assertRegex(text, r"  ports\t<\[\]ServicePort>\n    appProtocol\t<string>\n")
        self.assertRegex(self.kubectl("explain", "hpa", "--api-version=autoscaling/v1"), r"KIND: +HorizontalPodAutoscaler\n"
                                                                                         r"VERSION: +v1\n")
        text = self.kubectl("explain", "deploy.spec.replicas", "--output=plaintext-openapiv2")
        self.assertRegex(text, r"KIND: +Deployment\nVERSION: +apps/v1\n\nFIELD: +replicas <integer>\n")
        self.assertIn('field "nope" does not exist', self.fails("explain", "pods.nope"))
        self.assertIn("the server doesn't have a resource type \"nope\"", self.fails("explain", "nope"))
        for kind in self.kubectl("api-resources", "-o", "name", "--verbs=list").split():
            # (kubectl takes the group of the second sort of events for a field of the first.)
            if "metrics.k8s.io" not in kind and kind != "events.events.k8s.io":
                self.assertIn("DESCRIPTION:", self.kubectl("explain", kind), kind)

    def test_cluster_info(self):
        text = self.kubectl("cluster-info")
        self.assertIn(f"Kubernetes control plane is running at https://127.0.0.1:{self.daemon.port}", text)
        self.create(self.deployment(replicas=0))
        folder = self.folder()
        out = self.kubectl("cluster-info", "dump", "--output-directory", str(folder), "--namespaces", self.ns)
        self.assertEqual(out, f"Cluster info dumped to {folder}\n")
        self.assertEqual(json.loads((folder / "nodes.json").read_text())["kind"], "NodeList")
        for name in ("events", "replication-controllers", "services", "daemonsets", "deployments", "replicasets", "pods"):
            self.assertIn("items", json.loads((folder / self.ns / f"{name}.json").read_text()), name)
        everything = self.kubectl("cluster-info", "dump", "-A", "-o", "yaml")
        self.assertIn("kind: NodeList", everything)
        self.assertIn("name: web", everything)

    def test_events(self):
        self.assertIn(f"No events found in {self.ns} namespace", self.both("events", "--types=Warning")[1])
        self.create(self.deployment())
        uid = self.value("deploy/web", ".metadata.uid")
        self.assertTrue(eventually(lambda: "ScalingReplicaSet" in self.kubectl("events")))
        self.assertRegex(self.kubectl("events"), r"LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n")
        self.assertRegex(self.kubectl("events", "--for", "deploy/web"), r"Normal +ScalingReplicaSet +Deployment/web +Scaled up")
        self.assertIn(self.ns, self.kubectl("events", "-A"))
        self.assertIn("valid --types are Normal or Warning", self.fails("events", "--types=Odd"))
        self.assertEqual(self.json("events", "--for", "deploy/web")["items"][0]["involvedObject"]["uid"], uid)
        table = self.kubectl("get", "events", "--field-selector", f"involvedObject.uid={uid},involvedObject.name=web,reason!=X")
        self.assertRegex(table, r"LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\S+ +Normal +ScalingReplicaSet +deployment/web +")
        self.assertIn("SUBOBJECT", self.kubectl("get", "events", "-o", "wide"))
        self.assertIn("deployment/web", self.kubectl("get", "events.events.k8s.io"))
        child = self.start("events", "--watch", "--for", "deploy/web", "--no-headers")
        self.assertIn("Scaled up", self.line(child))
        self.kubectl("scale", "deploy/web", "--replicas=0")
        self.assertIn("Scaled down", self.line(child))


class Auth(KubectlCase):
    def test_can_i(self):
        self.assertEqual(self.kubectl("auth", "can-i", "create", "pods"), "yes\n")
        done = self.run_kubectl("auth", "can-i", "get", "secrets", "--as=nobody")
        self.assertEqual((done.returncode, done.stdout), (1, "no\n"))
        self.assertEqual(self.run_kubectl("auth", "can-i", "get", "secrets", "--as=nobody", "-q").stdout, "")
        self.assertEqual(self.kubectl("auth", "can-i", "get", "pods/web"), "yes\n")
        self.assertEqual(self.kubectl("auth", "can-i", "get", "pods", "--subresource=log"), "yes\n")
        self.assertEqual(self.kubectl("auth", "can-i", "*", "*", "-A"), "yes\n")
        out, warning = self.both("auth", "can-i", "get", "nopes")
        self.assertEqual(out, "yes\n")
        self.assertIn("Warning: the server doesn't have a resource type 'nopes'", warning)
        self.assertIn("Warning: resource 'nodes' is not namespace scoped", self.both("auth", "can-i", "list", "nodes")[1])
        self.assertRegex(self.kubectl("auth", "can-i", "--list"), r"^Resources +Non-Resource URLs +Resource Names +Verbs\n"
                                                                  r"\*\.\* +\[\] +\[\] +\[\*\]\n")
        posts = [kind for method, _, kind in self.requests("auth", "can-i", "get", "pods") if method == "POST"]
        self.assertEqual(posts, ["application/vnd.kubernetes.protobuf"])

    def test_whoami(self):
        self.assertRegex(self.kubectl("auth", "whoami"), r"^ATTRIBUTE +VALUE\nUsername +admin\n")
        self.assertEqual(self.json("auth", "whoami", "--as=jo", "--as-group=g", "--as-uid=7")["status"]["userInfo"]["username"],
                         "jo")

    def test_bad_credentials(self):
        folder = self.folder()
        config = folder / "config"
        config.write_text(f"apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:"
                          f"{self.daemon.port}', insecure-skip-tls-verify: true}}}}]\nusers: [{{name: u, user: {{token: x}}}}]\n"
                          "contexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\n")
        error = self.fails("get", "pods", env={"KUBECONFIG": str(config)})
        self.assertIn("You must be logged in to the server", error)
        config.write_text(config.read_text().replace(str(self.daemon.port), "1"))
        self.assertIn("was refused - did you specify the right host or port?",
                      self.fails("get", "pods", env={"KUBECONFIG": str(config)}))


class Offline(KubectlCase):
    def test_config(self):
        with open(self.daemon.kubeconfig, encoding="utf-8") as original:
            path = self.file("config", original.read())
        env = {"KUBECONFIG": path}

        def config(*args):
            return self.kubectl("config", *args, env=env)
        context = config("current-context").strip()
        self.assertRegex(config("get-contexts"), rf"\* +{context} +")
        self.assertEqual(config("get-contexts", "-o", "name"), context + "\n")
        self.assertRegex(config("get-clusters"), r"^NAME\n\S+\n")
        self.assertRegex(config("get-users"), r"^NAME\n\S+\n")
        self.assertIn("DATA+OMITTED", config("view"))
        self.assertIn("certificate-authority-data: ", config("view", "--raw", "--minify", "--flatten"))
        config("set-cluster", "more", "--server=https://127.0.0.1:1", "--insecure-skip-tls-verify=true")
        config("set-credentials", "jo", "--token=abc")
        config("set-context", "other", "--cluster=more", "--user=jo", "--namespace=x")
        self.assertEqual(config("use-context", "other"), 'Switched to context "other".\n')
        self.assertEqual(config("rename-context", "other", "another"), 'Context "other" renamed to "another".\n')
        config("set", "clusters.more.server", "https://127.0.0.1:2")
        self.assertIn("https://127.0.0.1:2", config("view"))
        config("unset", "users.jo.token")
        config("use-context", context)
        config("delete-context", "another")
        config("delete-cluster", "more")
        config("delete-user", "jo")
        # The namespace of a context is the one that counts.
        config("set-context", "--current", f"--namespace={self.ns}")
        self.create(self.config_map())
        self.assertIn("map", self.kubectl("get", "cm", env=env))

    def test_completion_asks_the_server(self):
        for shell in ("bash", "zsh", "fish", "powershell"):
            self.assertGreater(len(self.kubectl("completion", shell)), 1000)
        self.create(self.config_map("one"), self.config_map("two"), self.pod("p"))

        def complete(*args) -> list:
            return words(self.bare("__complete", "-n", self.ns, *args).stdout)
        self.assertEqual(complete("get", "cm", "o")[0], "one")
        self.assertIn("deployments.apps", complete("get", "deploy"))
        self.assertIn("main", complete("logs", "p", ""))
        self.assertIn(self.ns, complete("get", "pods", "--namespace", ""))

    def test_plugins(self):
        folder = self.folder()
        (folder / "kubectl-hello").write_text("#!/bin/sh\necho hello \"$@\"\n")
        (folder / "kubectl-hello").chmod(0o755)
        env = {"PATH": f"{folder}:{os.environ['PATH']}"}
        self.assertIn(f"{folder}/kubectl-hello", self.bare("plugin", "list", env=env).stdout)
        self.assertEqual(self.bare("hello", "a", "b", env=env).stdout, "hello a b\n")

    def test_kuberc(self):
        env = {"HOME": str(self.folder())}
        self.create(self.config_map("one"))
        self.kubectl("alpha", "kuberc", "set", "--section", "aliases", "--name", "maps", "--command", "get",
                     "--prependarg", "configmaps", "--option", "output=name", env=env)
        self.kubectl("alpha", "kuberc", "set", "--section", "defaults", "--command", "delete", "--option",
                     "interactive=true", env=env)
        self.assertIn("maps", self.kubectl("alpha", "kuberc", "view", env=env))
        self.assertIn("configmap/one\n", self.bare("maps", "-n", self.ns, env=env).stdout)
        self.assertIn("deletion is cancelled", self.kubectl("delete", "cm", "one", input="n\n", env=env))

    def test_options_and_help(self):
        self.assertIn("--kubeconfig", self.kubectl("options"))
        done = self.bare("nope")
        self.assertEqual((done.returncode, lines(done.stderr)[0]), (1, 'error: unknown command "nope" for "kubectl"'))
