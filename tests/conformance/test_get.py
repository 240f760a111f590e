"""kubectl 1.35, unchanged: get in all its forms (outputs, selectors, pages, sorting, watches, subresources, raw)."""
import contextlib
import json
import re
import time

from kubectl_case import KubectlCase, lines, words


class Get(KubectlCase):
    def setUp(self):
        super().setUp()
        self.create(self.config_map("one", labels={"app": "web", "tier": "front"}),
                    self.config_map("two", data={"a": "1", "b": "2"}, labels={"app": "web"}),
                    self.config_map("three", labels={"app": "db"}))

    def names(self, *args) -> list:
        return sorted(name.split("/")[1] for name in self.kubectl("get", *args, "-o", "name").split()
                      if "kube-root-ca" not in name)

    def test_every_output(self):
        table = self.kubectl("get", "cm", "two")
        self.assertRegex(table, r"^NAME +DATA +AGE\ntwo +2 +\d+s\n$")
        self.assertRegex(self.kubectl("get", "cm", "two", "--no-headers"), r"^two +2 +\d+s\n$")
        self.assertEqual(self.json("get", "cm", "two")["data"], {"a": "1", "b": "2"})
        self.assertEqual(self.json("get", "cm", "-l", "app=db")["kind"], "List")
        self.assertIn("\n  b: \"2\"\n", "\n" + self.kubectl("get", "cm", "two", "-o", "yaml"))
        self.assertIn('  b: "2"', self.kubectl("get", "cm", "two", "-o", "kyaml"))
        self.assertEqual(self.kubectl("get", "cm", "two", "-o", "name"), "configmap/two\n")
        self.assertEqual(self.kubectl("get", "cm", "two", "-o", "jsonpath={.data.b}"), "2")
        self.assertEqual(self.kubectl("get", "cm", "two", "-o", "jsonpath-as-json={.data}").split(),
                         ["[", "{", '"a":', '"1",', '"b":', '"2"', "}", "]"])
        path = self.file("path", "{.metadata.name}")
        self.assertEqual(self.kubectl("get", "cm", "two", "-o", f"jsonpath-file={path}"), "two")
        self.assertEqual(self.kubectl("get", "cm", "two", "-o", "go-template={{.data.a}}"), "1")
        path = self.file("template", "{{.data.a}}-{{.data.b}}")
        self.assertEqual(self.kubectl("get", "cm", "two", "-o", f"go-template-file={path}"), "1-2")
        self.assertEqual(self.kubectl("get", "cm", "two", "-o", "template", "--template={{.data.a}}"), "1")
        self.assertRegex(self.kubectl("get", "cm", "two", "-o", "custom-columns=N:.metadata.name,B:.data.b,C:.data.c"),
                         r"^N +B +C\ntwo +2 +<none>\n$")
        path = self.file("columns", "NAME VALUE\n.metadata.name .data.a\n")
        self.assertRegex(self.kubectl("get", "cm", "two", "-o", f"custom-columns-file={path}"),
                         r"^NAME +VALUE\ntwo +1\n$")
        self.assertIn("unable to match a printer", self.fails("get", "cm", "-o", "nope"))
        self.assertRegex(self.kubectl("get", "cm", "two", "--server-print=false"), r"^NAME +AGE\ntwo +\d+s\n$")
        self.assertNotIn("managedFields", self.kubectl("get", "cm", "two", "-o", "yaml"))
        self.assertIn("managedFields", self.kubectl("get", "cm", "two", "-o", "yaml", "--show-managed-fields"))

    def test_the_servers_tables(self):
        """kubectl hides columns itself: all of them come, and each row with the metadata of its object."""
        def table(query: str = "") -> dict:
            accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
            code, headers, body = self.api.raw("GET", f"/api/v1/namespaces/{self.ns}/pods{query}",
                                               headers={"Accept": accept})
            self.assertEqual((code, headers["Content-Type"]), (200, "application/json"))
            return json.loads(body)
        self.create(self.pod("p", labels={"x": "y"}))
        found = table()
        self.assertEqual([(column["name"], column["priority"]) for column in found["columnDefinitions"]],
                         [("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0), ("IP", 1), ("Node", 1),
                          ("Nominated Node", 1), ("Readiness Gates", 1)])
        self.assertRegex(found["metadata"]["resourceVersion"], r"^[1-9][0-9]*$")
        row = found["rows"][0]
        self.assertEqual(len(row["cells"]), 9)
        self.assertEqual((row["object"]["kind"], row["object"]["metadata"]["labels"]), ("PartialObjectMetadata", {"x": "y"}))
        self.assertNotIn("spec", row["object"])
        self.assertEqual(table("?includeObject=Object")["rows"][0]["object"]["kind"], "Pod")
        self.assertIsNone(table("?includeObject=None")["rows"][0].get("object"))
        self.assertRegex(self.kubectl("get", "pods", "-o", "wide"), r"AGE +IP +NODE +NOMINATED NODE +READINESS GATES\np +0/1 +"
                                                                    r"Pending +0 +\d+s +<none> +<none> +<none> +<none>\n")

    def test_labels_in_the_table(self):
        self.assertRegex(self.kubectl("get", "cm", "one", "--show-labels"),
                         r"NAME +DATA +AGE +LABELS\none +1 +\d+s +app=web,tier=front\n")
        self.assertRegex(self.kubectl("get", "cm", "one", "two", "-L", "app,tier", "--no-headers"),
                         r"one +1 +\d+s +web +front\ntwo +2 +\d+s +web *\n")
        self.assertRegex(self.kubectl("get", "cm/one", "--show-kind"), r"configmap/one +1 ")

    def test_label_selectors(self):
        for selector, wanted in (("app=web", ["one", "two"]), ("app==db", ["three"]), ("app!=web", ["three"]),
                                 ("app in (web,db),tier", ["one"]), ("app notin (web)", ["three"]),
                                 ("!tier", ["three", "two"]), ("app=web,!tier", ["two"]), ("app=none", [])):
            self.assertEqual(self.names("cm", "-l", selector), wanted, selector)
        self.assertIn("unable to parse requirement", self.fails("get", "cm", "-l", "a in b"))

    def test_field_selectors(self):
        self.assertEqual(self.names("cm", "--field-selector=metadata.name=one"), ["one"])
        self.assertEqual(self.names("cm", f"--field-selector=metadata.namespace=={self.ns},metadata.name!=one"),
                         ["three", "two"])
        self.assertIn('field label not supported: data.a', self.fails("get", "cm", "--field-selector=data.a=1"))
        self.create(self.pod("p"), self.pod("q", nodeName="elsewhere", restartPolicy="Never"))
        self.assertEqual(self.names("pods", "--field-selector=spec.nodeName=elsewhere"), ["q"])
        self.assertEqual(self.names("pods", "--field-selector=spec.nodeName="), ["p"])
        self.assertEqual(self.names("pods", "--field-selector=status.phase=Pending,spec.restartPolicy!=Always"), ["q"])
        self.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "example.com/x"})
        self.assertEqual(self.names("secrets", "--field-selector=type=example.com/x"), ["s"])

    def test_all_namespaces(self):
        table = self.kubectl("get", "cm", "-A", "--field-selector=metadata.name=one")
        self.assertRegex(table, rf"^NAMESPACE +NAME +DATA +AGE\n{self.ns} +one +1 ")
        self.assertIn("namespace/default", self.kubectl("get", "ns", "-o", "name"))

    def test_several_kinds_and_files(self):
        self.create(self.deployment(replicas=0), self.pod("p"))
        out = self.kubectl("get", "deploy,cm", "--no-headers")
        self.assertIn("deployment.apps/web", words(out))
        self.assertIn("configmap/one", words(out))
        self.assertEqual(words(self.kubectl("get", "deploy/web", "cm/one", "--no-headers")),
                         ["deployment.apps/web", "configmap/one"])
        self.assertEqual(self.kubectl("get", "deployments.apps", "web", "-o", "name"), "deployment.apps/web\n")
        self.assertEqual(self.kubectl("get", "deployments.v1.apps/web", "-o", "name"), "deployment.apps/web\n")
        everything = self.kubectl("get", "all", "-o", "name")
        self.assertIn("pod/p\n", everything)
        self.assertIn("deployment.apps/web\n", everything)
        self.assertNotIn("configmap", everything)
        path = self.file("some.json", {"apiVersion": "v1", "kind": "List", "items": [self.config_map("one"),
                                                                                    self.pod("p")]})
        self.assertEqual(self.kubectl("get", "-f", path, "-o", "name"), "configmap/one\npod/p\n")
        done = self.run_kubectl("get", "cm", "one", "nope")
        self.assertEqual(done.returncode, 1)
        self.assertIn("one ", done.stdout)
        self.assertEqual(done.stderr, 'Error from server (NotFound): configmaps "nope" not found\n')

    def test_nothing_found(self):
        out, errors = self.both("get", "pods")
        self.assertEqual((out, errors), ("", f"No resources found in {self.ns} namespace.\n"))
        self.assertEqual(self.both("get", "pods", "--ignore-not-found"), ("", ""))
        self.assertEqual(self.both("get", "pod", "nope", "--ignore-not-found"), ("", ""))
        self.assertEqual(self.fails("get", "pod", "nope"), 'Error from server (NotFound): pods "nope" not found\n')
        self.assertEqual(self.fails("get", "deploy", "nope"),
                         'Error from server (NotFound): deployments.apps "nope" not found\n')
        self.assertIn('the server doesn\'t have a resource type "nopes"', self.fails("get", "nopes"))

    def test_sorted(self):
        def order(path: str) -> list:
            return words(self.kubectl("get", "cm", "-l", "app", "--no-headers", f"--sort-by={path}"))
        self.assertEqual(order(".metadata.name"), ["one", "three", "two"])
        self.assertEqual(order("{.data.b}")[-1], "two")
        self.assertEqual(len(order(".metadata.creationTimestamp")), 3)
        asked = [path for method, path, _ in self.requests("get", "cm", "--sort-by=.metadata.name")
                 if "configmaps" in path]
        self.assertEqual(len(asked), 1, asked)
        self.assertIn("includeObject=Object", asked[0])

    def test_pages(self):
        self.create(*[self.config_map(f"page-{number:02}", labels={"set": "pages"}) for number in range(25)])
        asked = [path for _, path, _ in self.requests("get", "cm", "-l", "set=pages", "--chunk-size=10")]
        self.assertEqual(len([path for path in asked if "limit=10" in path]), 3, asked)
        self.assertEqual(len([path for path in asked if "continue=" in path]), 2, asked)
        self.assertEqual(len(words(self.kubectl("get", "cm", "-l", "set=pages", "--no-headers", "--chunk-size=10"))), 25)
        self.assertEqual(len(self.json("get", "cm", "-l", "set=pages", "--chunk-size=7")["items"]), 25)
        first = json.loads(self.kubectl("get", "--raw", f"/api/v1/namespaces/{self.ns}/configmaps?limit=10"
                                                        "&labelSelector=set%3Dpages"))
        self.assertTrue(first["metadata"]["continue"])
        self.assertRegex(first["metadata"]["resourceVersion"], r"^[1-9][0-9]*$")

    def test_subresources(self):
        self.create(self.deployment(replicas=3, paused=True))
        self.assertRegex(self.kubectl("get", "deploy", "web", "--subresource=scale"),
                         r"NAME +DESIRED +AVAILABLE +AGE\nweb +3 +0 ")
        scale = self.json("get", "deploy", "web", "--subresource=scale")
        self.assertEqual((scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]),
                         ("Scale", 3, "app=web"))
        self.assertEqual(self.json("get", "deploy", "web", "--subresource=status")["kind"], "Deployment")
        self.assertIn("the server could not find the requested resource",
                      self.fails("get", "cm", "one", "--subresource=status"))

    def test_raw(self):
        self.assertEqual(self.kubectl("get", "--raw", "/healthz"), "ok")
        self.assertEqual(self.kubectl("get", "--raw", "/livez"), "ok")
        self.assertIn("[+]", self.kubectl("get", "--raw", "/readyz?verbose"))
        self.assertEqual(json.loads(self.kubectl("get", "--raw", f"/api/v1/namespaces/{self.ns}/configmaps/one"))["data"],
                         {"a": "1"})
        self.assertIn("the server could not find the requested resource", self.fails("get", "--raw", "/nope"))
        self.assertIn('configmaps "nope" not found',
                      self.fails("get", "--raw", f"/api/v1/namespaces/{self.ns}/configmaps/nope"))
        self.assertIn("# HELP", self.kubectl("get", "--raw", "/metrics"))


class Watch(KubectlCase):
    def next(self, child) -> list:
        return self.line(child).split()

    def test_a_list_that_goes_on(self):
        self.create(self.pod("one"))
        child = self.start("get", "pods", "-w")
        self.assertEqual(self.next(child), ["NAME", "READY", "STATUS", "RESTARTS", "AGE"])
        self.assertEqual(self.next(child)[0:3], ["one", "0/1", "Pending"])
        self.create(self.pod("two"))
        self.assertEqual(self.next(child)[0], "two")
        self.api.patch("pods", self.ns, "one", {"status": {"phase": "Failed", "reason": "Because"}}, sub="status")
        while (row := self.next(child))[0] == "two":
            pass
        self.assertEqual(row[0:3], ["one", "0/1", "Because"])
        self.kubectl("delete", "pod", "one", "--force", "--grace-period=0")
        self.assertEqual(self.next(child)[0], "one")

    def test_one_object(self):
        self.create(self.config_map("one"), self.config_map("two"))
        child = self.start("get", "cm", "one", "-w", "--no-headers")
        self.assertEqual(self.next(child)[0:2], ["one", "1"])
        self.kubectl("patch", "cm", "two", "-p", '{"data":{"b":"2"}}')
        self.kubectl("patch", "cm", "one", "-p", '{"data":{"b":"2"}}')
        self.assertEqual(self.next(child)[0:2], ["one", "2"])

    def test_only_what_comes_with_its_events(self):
        self.create(self.config_map("one", labels={"in": "set"}))
        child = self.start("get", "cm", "-l", "in=set", "--watch-only", "--output-watch-events")
        time.sleep(0.5)  # until kubectl watches: it prints nothing before the first event
        self.kubectl("label", "cm", "one", "x=y")
        self.assertEqual(self.next(child)[0:2], ["EVENT", "NAME"])
        self.assertEqual(self.next(child)[0:2], ["MODIFIED", "one"])
        # An object that stops matching is gone for this watch, and comes back as added.
        self.kubectl("label", "cm", "one", "in=other", "--overwrite")
        self.assertEqual(self.next(child)[0:2], ["DELETED", "one"])
        self.kubectl("label", "cm", "one", "in=set", "--overwrite")
        self.assertEqual(self.next(child)[0:2], ["ADDED", "one"])
        self.kubectl("delete", "cm", "one")
        self.assertEqual(self.next(child)[0:2], ["DELETED", "one"])

    def test_outputs(self):
        self.create(self.config_map("one"))
        child = self.start("get", "cm", "one", "-w", "-o", "jsonpath={.data.a}{'\\n'}")
        self.assertEqual(self.line(child), "1\n")
        self.kubectl("patch", "cm", "one", "-p", '{"data":{"a":"2"}}')
        self.assertEqual(self.line(child), "2\n")
        child = self.start("get", "cm", "one", "-w", "-o", "name", "--output-watch-events=false")
        self.assertEqual(self.line(child), "configmap/one\n")
        child = self.start("get", "cm", "-A", "-w", "--field-selector=metadata.name=one")
        self.assertEqual(self.next(child)[0:2], ["NAMESPACE", "NAME"])
        self.assertEqual(self.next(child)[0:2], [self.ns, "one"])


class Wait(KubectlCase):
    def test_condition(self):
        self.create(self.pod("p"))
        child = self.start("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
        other = self.start("wait", "--for=condition=ready=false", "pod/p", "--timeout=30s")
        time.sleep(0.3)
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
        self.api.patch("pods", self.ns, "p", {"status": status}, sub="status")
        self.assertEqual(self.finished(other), "pod/p condition met\n")
        status["conditions"][0]["status"] = "True"
        self.api.patch("pods", self.ns, "p", {"status": status}, sub="status")
        self.assertEqual(self.finished(child), "pod/p condition met\n")
        self.assertIn("error: timed out waiting for the condition on pods/p\n",
                      self.fails("wait", "--for=condition=Nope", "pod/p", "--timeout=1s"))
        self.assertIn('"nope" not found', self.fails("wait", "--for=condition=Ready", "pod/nope"))

    def test_an_old_observation_does_not_count(self):
        self.create(self.deployment(replicas=0))
        self.assertEqual(self.kubectl("wait", "--for=condition=Available", "deploy", "--all", "--timeout=20s"),
                         "deployment.apps/web condition met\n")

    def test_jsonpath(self):
        self.create(self.config_map())
        child = self.start("wait", "--for=jsonpath={.data.a}=2", "cm/map", "--timeout=30s")
        exists = self.start("wait", "--for=jsonpath={.data.b}", "cm/map", "--timeout=30s")
        time.sleep(0.3)
        self.kubectl("patch", "cm", "map", "-p", '{"data":{"a":"2","b":"x"}}')
        self.assertEqual(self.finished(child), "configmap/map condition met\n")
        self.assertEqual(self.finished(exists), "configmap/map condition met\n")

    def test_create_and_delete(self):
        child = self.start("wait", "--for=create", "cm/later", "--timeout=30s")
        time.sleep(0.3)
        self.create(self.config_map("later"))
        self.assertEqual(self.finished(child), "configmap/later condition met\n")
        child = self.start("wait", "--for=delete", "cm/later", "cm/never-there", "--timeout=30s")
        time.sleep(0.3)
        self.kubectl("delete", "cm", "later")
        self.assertIn("configmap/later condition met\n", self.finished(child))
        self.create(self.config_map("stays"))
        self.assertIn("error: timed out waiting for the condition on configmaps/stays\n",
                      self.fails("wait", "--for=delete", "cm/stays", "--timeout=1s"))

    def test_it_lists_and_watches_in_one_request(self):
        self.create(self.pod("p"))
        self.api.patch("pods", self.ns, "p", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
                       sub="status")
        done = self.run_kubectl("-v=6", "wait", "--for=condition=Ready", "pod/p", "--timeout=1s")
        asked = re.findall(r'verb="(\w+)" url="[^"]*/pods([^"]*)"', done.stderr)
        self.assertEqual(len([query for _, query in asked if "sendInitialEvents=true" in query]), 1, asked)
        self.assertFalse([query for _, query in asked if "limit=" in query], asked)
        self.assertEqual(len(lines(done.stdout)), 0)


class HangUp(KubectlCase):
    def test_watchers_that_hang_up_at_once(self):
        """The end of the connection comes right behind the request, so the server sees it as it starts to watch."""
        pid = self.daemon.process.pid
        path = f"/api/v1/namespaces/{self.ns}/configmaps?watch=1&resourceVersion=1"
        for number in range(300):
            connection = self.api.connect(5)
            connection.request("GET", path)
            if number % 3 == 0:
                with contextlib.suppress(OSError):
                    connection.sock.unwrap()
            connection.close()
        self.assertEqual(self.kubectl("get", "--raw", "/healthz"), "ok")
        self.assertEqual((self.daemon.died, self.daemon.process.pid), ("", pid))
