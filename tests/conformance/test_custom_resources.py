"""kubectl 1.35, unchanged, and custom resources: definitions, explain, apply, scale, versions, rules, restarts."""
import json
import tempfile
import time

from harness.case import ClusterCase, eventually

SCHEMA = {
    "type": "object", "description": "A widget for tests.", "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object", "description": "What is wanted.", "required": ["size"],
            "x-kubernetes-validations": [
                {"rule": "self.replicas <= 10 || self.size == 'large'",
                 "message": "only large widgets may have more than ten replicas"},
                {"rule": "!has(oldSelf.owner) || (has(self.owner) && self.owner == oldSelf.owner)",
                 "messageExpression": "'owner cannot change from ' + oldSelf.owner", "fieldPath": ".owner"},
            ],
            "properties": {
                "size": {"type": "string", "enum": ["small", "large"], "description": "How big it is."},
                "replicas": {"type": "integer", "default": 1, "minimum": 0, "maximum": 100},
                "note": {"type": "string", "maxLength": 10},
                "owner": {"type": "string"},
                "port": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                          "items": {"type": "object", "required": ["name"],
                                    "properties": {"name": {"type": "string"},
                                                   "count": {"type": "integer", "default": 2}}}},
            },
        },
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"},
                                                    "selector": {"type": "string"}}},
    },
}

OLD_SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "properties": {
    "size": {"type": "string"}, "replicas": {"type": "integer"}}}}}


class CustomResources(ClusterCase):
    with_node = False

    def setUp(self):
        super().setUp()
        # Each test has a group of its own, since definitions belong to nobody's namespace.
        self.group = f"{self.ns}.example.com"
        self.crd = f"widgets.{self.group}"
        self.addCleanup(lambda: self.kubectl("delete", "crd", self.crd, "--ignore-not-found"))

    def kubectl(self, *args, **kwargs):
        return self.daemon.kubectl("-n", self.ns, *args, **kwargs)

    def definition(self) -> dict:
        v1 = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA},
              "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                                                       "statusReplicasPath": ".status.replicas",
                                                       "labelSelectorPath": ".status.selector"}},
              "selectableFields": [{"jsonPath": ".spec.size"}],
              "additionalPrinterColumns": [
                  {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
                  {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                  {"name": "Note", "type": "string", "jsonPath": ".spec.note", "priority": 1},
                  {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]}
        beta = {"name": "v1beta1", "served": True, "storage": False, "deprecated": True,
                "schema": {"openAPIV3Schema": OLD_SCHEMA}}
        return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": self.crd},
                "spec": {"group": self.group, "scope": "Namespaced", "versions": [beta, v1],
                         "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"],
                                   "categories": ["gear"]}}}

    def apply(self, body: dict, *args, **kwargs):
        return self.kubectl("apply", "-f", "-", *args, input=json.dumps(body), **kwargs)

    def define(self, body: dict = None) -> None:
        self.apply(body or self.definition())
        self.kubectl("wait", "--for=condition=Established", f"crd/{self.crd}", "--timeout=10s")

    def widget(self, name: str = "one", **spec) -> dict:
        return {"apiVersion": f"{self.group}/v1", "kind": "Widget", "metadata": {"name": name},
                "spec": {"size": "small", **spec}}

    def get(self, name: str = "one", resource: str = "") -> dict:
        return json.loads(self.kubectl("get", resource or self.crd, name, "-o", "json").stdout)

    def explain(self, path: str) -> str:
        return self.kubectl("explain", path, f"--api-version={self.group}/v1").stdout

    def refused(self, result) -> str:
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stderr

    def test_definition_is_served_and_discovered(self):
        self.define()
        status = json.loads(self.kubectl("get", "crd", self.crd, "-o", "json").stdout)["status"]
        conditions = {entry["type"]: (entry["status"], entry["reason"]) for entry in status["conditions"]}
        self.assertEqual(conditions["NamesAccepted"], ("True", "NoConflicts"))
        self.assertEqual(conditions["Established"], ("True", "InitialNamesAccepted"))
        self.assertEqual(status["storedVersions"], ["v1"])
        self.assertEqual(status["acceptedNames"]["singular"], "widget")
        listed = self.kubectl("api-resources", f"--api-group={self.group}", "--no-headers").stdout
        self.assertEqual(listed.split(), ["widgets", "wd", f"{self.group}/v1", "true", "Widget"])
        self.assertIn(f"{self.group}/v1beta1\n", self.kubectl("api-versions").stdout)

    def test_apply_get_and_tables(self):
        self.define()
        made = self.widget(port="http", parts=[{"name": "a"}, {"name": "b", "count": 5}], free={"any": {"thing": 1}})
        plain = self.widget("plain", parts=[{"name": "a", "count": 1}])
        self.assertEqual(self.apply(plain).stdout, f"widget.{self.group}/plain created\n")
        self.assertEqual(self.apply(plain).stdout, f"widget.{self.group}/plain unchanged\n")
        self.kubectl("delete", "wd", "plain")
        self.assertEqual(self.apply(made).stdout, f"widget.{self.group}/one created\n")
        spec = self.get()["spec"]
        self.assertEqual(spec, {"size": "small", "replicas": 1, "port": "http", "free": {"any": {"thing": 1}},
                                "parts": [{"name": "a", "count": 2}, {"name": "b", "count": 5}]})
        made["spec"]["port"] = 80
        del made["spec"]["free"]
        self.assertIn("configured", self.apply(made).stdout)
        after = self.get()
        self.assertEqual(after["spec"]["port"], 80)
        self.assertNotIn("free", after["spec"])
        self.assertEqual(after["metadata"]["generation"], 2)
        self.assertRegex(self.kubectl("get", "wd").stdout,
                         r"^NAME +SIZE +REPLICAS +AGE\none +small +1 +\d+s\n$")
        self.assertRegex(self.kubectl("get", "gear", "-o", "wide").stdout,
                         r"NAME +SIZE +REPLICAS +NOTE +AGE\n\S*one +small +1 +(<none>)? +\d+s\n")
        chosen = self.kubectl("get", "wd", "--field-selector", "spec.size=small", "-o", "name").stdout
        self.assertEqual(chosen, f"widget.{self.group}/one\n")
        self.assertEqual(self.kubectl("get", "wd", "--field-selector", "spec.size=large", "-o", "name").stdout, "")
        self.assertIn("field label not supported: spec.note", self.refused(
            self.kubectl("get", "wd", "--field-selector", "spec.note=x", check=False)))

    def test_explain(self):
        self.define()
        shown = self.explain("widgets.spec")
        self.assertIn("What is wanted.", shown)
        self.assertRegex(shown, r"size\t<string> -required-\n +enum: small, large\n +How big it is\.")
        self.assertIn("name\t<string> -required-", self.explain("widgets.spec.parts"))
        self.assertIn("labels\t<map[string]string>", self.explain("widgets.metadata"))

    def test_unknown_fields(self):
        self.define()
        wrong = self.widget(bogus=1, parts=[{"name": "a", "odd": 1}])
        text = self.refused(self.apply(wrong, check=False))
        self.assertIn('strict decoding error: unknown field "spec.bogus", unknown field "spec.parts[0].odd"', text)
        warned = self.apply(wrong, "--validate=warn")
        self.assertIn('Warning: unknown field "spec.bogus"', warned.stderr)
        self.assertNotIn("bogus", self.get()["spec"])
        quiet = self.apply(wrong, "--validate=ignore")
        self.assertEqual((quiet.stderr, self.get()["spec"]["parts"]), ("", [{"name": "a", "count": 2}]))

    def test_validation(self):
        self.define()
        text = self.refused(self.apply(self.widget(size="huge", replicas=200, note="x" * 11, port=True),
                                       "--validate=false", check=False))
        for line in ('* spec.size: Unsupported value: "huge": supported values: "small", "large"',
                     "* spec.replicas: Invalid value: 200: spec.replicas in body should be less than or equal to 100",
                     "* spec.note: Too long: may not be more than 10 bytes",
                     '* spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: '
                     '"boolean"'):
            self.assertIn(line, text)
        text = self.refused(self.apply(self.widget(parts=[{"name": "a"}, {"name": "a"}]), check=False))
        self.assertIn('spec.parts[1]: Duplicate value: {"name":"a"}', text)
        missing = self.widget()
        del missing["spec"]["size"]
        self.assertIn("spec.size: Required value", self.refused(self.apply(missing, check=False)))

    def test_rules(self):
        self.define()
        text = self.refused(self.apply(self.widget(replicas=11), check=False))
        self.assertIn('spec: Invalid value: "object": only large widgets may have more than ten replicas', text)
        self.apply(self.widget(owner="me"))
        text = self.refused(self.apply(self.widget(owner="you"), check=False))
        self.assertIn("owner cannot change from me", text)
        self.assertIn("spec.owner", text)

    def test_patches(self):
        self.define()
        self.apply(self.widget())
        self.kubectl("patch", "wd", "one", "--type=merge", "-p", '{"spec":{"note":"hi"}}')
        self.kubectl("patch", "wd", "one", "--type=json", "-p",
                     '[{"op":"add","path":"/spec/parts","value":[{"name":"z"}]}]')
        spec = self.get()["spec"]
        self.assertEqual((spec["note"], spec["parts"]), ("hi", [{"name": "z", "count": 2}]))
        text = self.refused(self.kubectl("patch", "wd", "one", "--type=strategic", "-p", '{"spec":{}}', check=False))
        self.assertIn("application/strategic-merge-patch+json is not supported", text)

    def test_server_side_apply(self):
        self.define()

        def apply(manager, **spec):
            return self.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-",
                                input=json.dumps(self.widget(**spec)), check=False)
        self.assertEqual(apply("one", parts=[{"name": "a", "count": 1}]).returncode, 0)
        # The list is a map by name, so two managers share it.
        self.assertEqual(apply("two", parts=[{"name": "b"}]).returncode, 0)
        self.assertEqual([part["name"] for part in self.get()["spec"]["parts"]], ["a", "b"])
        text = self.refused(apply("two", parts=[{"name": "b"}, {"name": "a", "count": 9}]))
        self.assertIn('conflict with "one": .spec.parts[name="a"].count', text)
        self.assertEqual(apply("one").returncode, 0)
        self.assertEqual([part["name"] for part in self.get()["spec"]["parts"]], ["b"])

    def test_status_and_scale(self):
        self.define()
        self.apply(self.widget())
        self.kubectl("patch", "wd", "one", "--subresource=status", "--type=merge", "-p",
                     '{"status":{"replicas":1,"selector":"a=b"},"spec":{"size":"large"}}')
        widget = self.get()
        self.assertEqual(widget["status"], {"replicas": 1, "selector": "a=b"})
        self.assertEqual(widget["spec"]["size"], "small")
        self.assertEqual(widget["metadata"]["generation"], 1)
        self.kubectl("patch", "wd", "one", "--type=merge", "-p", '{"status":{"replicas":7}}')
        self.assertEqual(self.get()["status"]["replicas"], 1)
        self.assertEqual(self.kubectl("scale", "wd", "one", "--replicas=4").stdout,
                         f"widget.{self.group}/one scaled\n")
        scale = json.loads(self.kubectl("get", "wd", "one", "--subresource=scale", "-o", "json").stdout)
        self.assertEqual(scale["spec"], {"replicas": 4})
        self.assertEqual(scale["status"], {"replicas": 1, "selector": "a=b"})
        self.assertIn("only large widgets", self.refused(self.kubectl("scale", "wd", "one", "--replicas=40", check=False)))

    def test_versions(self):
        self.define()
        self.apply(self.widget(note="kept"))
        old = self.kubectl("get", f"widgets.v1beta1.{self.group}", "one", "-o", "json")
        self.assertIn(f"Warning: {self.group}/v1beta1 Widget is deprecated", old.stderr)
        self.assertEqual(json.loads(old.stdout)["apiVersion"], f"{self.group}/v1beta1")
        self.assertEqual(json.loads(old.stdout)["spec"], {"size": "small", "replicas": 1})
        # The old version's schema allows what the new one does not, and defaults nothing.
        odd = {**self.widget("two", size="odd"), "apiVersion": f"{self.group}/v1beta1"}
        self.apply(odd)
        self.assertEqual(self.get("two")["apiVersion"], f"{self.group}/v1")
        self.assertEqual(self.get("two")["spec"], {"size": "odd", "replicas": 1})
        definition = self.definition()
        definition["spec"]["versions"][0]["served"] = False
        self.define(definition)
        self.assertTrue(eventually(lambda: f"{self.group}/v1beta1\n" not in self.kubectl("api-versions").stdout, 5))
        self.assertEqual(self.get("two")["spec"]["size"], "odd")

    def test_new_schema_for_old_objects(self):
        self.define()
        self.apply(self.widget(note="old"))
        definition = self.definition()
        properties = json.loads(json.dumps(SCHEMA))
        del properties["properties"]["spec"]["properties"]["note"]
        properties["properties"]["spec"]["properties"]["colour"] = {"type": "string", "default": "red"}
        definition["spec"]["versions"][1]["schema"]["openAPIV3Schema"] = properties
        definition["spec"]["versions"][1]["additionalPrinterColumns"] = []
        self.define(definition)
        self.assertTrue(eventually(lambda: self.get()["spec"].get("colour") == "red", 5))
        self.assertNotIn("note", self.get()["spec"])
        self.assertIn("colour", self.explain("widgets.spec"))
        self.assertRegex(self.kubectl("get", "wd").stdout, r"^NAME +AGE\none +\d+s\n$")

    def test_watch(self):
        self.define()
        self.apply(self.widget())
        watch = self.daemon.popen_kubectl("-n", self.ns, "get", "wd", "-w", "--no-headers", "--output-watch-events")
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.stderr.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        self.assertIn("ADDED", watch.stdout.readline())
        self.kubectl("scale", "wd", "one", "--replicas=2")
        self.assertIn("MODIFIED", watch.stdout.readline())
        self.kubectl("delete", "wd", "one")
        self.assertIn("DELETED", watch.stdout.readline())

    def watch_raw(self, version: str):
        """A watch of all widgets by kubectl get --raw: the events that there are at first, as lines."""
        watch = self.daemon.popen_kubectl(
            "get", "--raw", f"/apis/{self.group}/{version}/widgets?watch=1&sendInitialEvents=true&"
            "resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=60")
        for undo in (watch.stdout.close, watch.stderr.close, watch.wait, watch.kill):
            self.addCleanup(undo)
        seen = []
        while not seen or seen[-1][0] != "BOOKMARK":
            event = json.loads(watch.stdout.readline())
            seen.append((event["type"], event["object"]["metadata"].get("name")))
        return watch, seen

    def ends(self, watch) -> list:
        """The events until the end, which must come soon."""
        started = time.monotonic()
        events = [json.loads(line) for line in watch.stdout]
        self.assertLess(time.monotonic() - started, 5)
        return [(event["type"], event["object"]["metadata"].get("name")) for event in events]

    def test_watches_end_with_the_definition(self):
        self.define()
        self.apply(self.widget())
        watch, seen = self.watch_raw("v1")
        self.assertEqual(seen, [("ADDED", "one"), ("BOOKMARK", None)])
        self.kubectl("delete", "crd", self.crd, "--wait=false")
        self.assertIn(("DELETED", "one"), self.ends(watch))

    def test_watches_end_when_their_version_is_no_longer_served(self):
        self.define()
        self.apply(self.widget())
        old, _ = self.watch_raw("v1beta1")
        definition = self.definition()
        definition["spec"]["versions"][0]["served"] = False
        self.define(definition)
        self.assertEqual(self.ends(old), [])

    def test_finalizer_comes_with_the_deletion(self):
        self.define()
        self.assertNotIn("finalizers", self.get(self.crd, "crd")["metadata"])
        held = self.widget("held")
        held["metadata"]["finalizers"] = ["example.com/hold"]
        self.apply(held)
        answer = json.loads(self.kubectl("delete", "--raw", "/apis/apiextensions.k8s.io/v1/"
                                         f"customresourcedefinitions/{self.crd}").stdout)
        self.assertEqual(answer["metadata"]["finalizers"], ["customresourcecleanup.apiextensions.k8s.io"])
        terminating = [entry for entry in answer["status"]["conditions"] if entry["type"] == "Terminating"]
        self.assertEqual(terminating[0]["reason"], "InstanceDeletionPending")
        self.kubectl("patch", self.crd, "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        self.kubectl("wait", "--for=delete", f"crd/{self.crd}", "--timeout=10s")

    def test_large_definition(self):
        """Of 1 MB: served and discovered soon, and what is asked meanwhile is answered."""
        text = "What this field is for, in the words of whoever made the definition. " * 2
        part = {"type": "object", "description": text, "properties": {
            f"field{i}": {"type": "string", "description": text, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"}
            for i in range(40)}, "x-kubernetes-validations": [
                {"rule": "!has(self.field1) || self.field1 != 'no'", "message": "not no"}]}
        body = self.definition()
        body["spec"]["versions"] = body["spec"]["versions"][1:]
        schema = json.loads(json.dumps(SCHEMA))
        schema["properties"]["spec"]["properties"].update({f"part{i}": part for i in range(120)})
        body["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(body, file)
            file.flush()
            self.assertGreater(file.tell(), 1_000_000)
            made = self.daemon.popen_kubectl("create", "-f", file.name)
            self.addCleanup(made.stdout.close)
            self.addCleanup(made.stderr.close)
            slowest = 0
            while made.poll() is None:
                started = time.monotonic()
                self.kubectl("get", "--raw", "/api/v1/namespaces/default")
                slowest = max(slowest, time.monotonic() - started)
        self.assertEqual(made.returncode, 0, made.stderr.read())
        self.kubectl("wait", "--for=condition=Established", f"crd/{self.crd}", "--timeout=10s")
        self.kubectl("get", "--raw", f"/apis/{self.group}/v1/widgets")
        self.assertIn("What this field is for", self.explain("widgets.spec.part7.field3"))
        text = self.refused(self.apply(self.widget(part3={"field1": "no"}), check=False))
        self.assertIn('spec.part3: Invalid value: "object": not no', text)
        self.assertLess(slowest, 3)

    def test_bad_definitions(self):
        body = self.definition()
        body["spec"]["versions"][1]["schema"]["openAPIV3Schema"] = {
            "type": "object", "properties": {"spec": {"properties": {"a": {"type": "string"}}}}}
        self.assertIn("spec.versions[1].schema.openAPIV3Schema.properties[spec].type: Required value: must not be "
                      "empty for specified object fields", self.refused(self.apply(body, check=False)))
        body = self.definition()
        body["spec"]["versions"] = body["spec"]["versions"][1:]
        schema = json.loads(json.dumps(SCHEMA))
        schema["properties"]["spec"]["x-kubernetes-validations"] = [{"rule": "self.colour == 'red'"}]
        body["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
        text = self.refused(self.apply(body, check=False))
        self.assertIn("spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule", text)
        self.assertIn("compilation failed: ERROR: <input>:1:5: undefined field 'colour'", text)
        body = self.definition()
        body["metadata"]["name"] = "other"
        self.assertIn('must be spec.names.plural+"."+spec.group', self.refused(self.apply(body, check=False)))
        body = self.definition()
        body["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {
            "conversionReviewVersions": ["v9"], "clientConfig": {"url": "http://a.b/c"}}}
        text = self.refused(self.apply(body, check=False))
        self.assertIn("spec.conversion.webhook.clientConfig.url: Invalid value: \"http\": 'https' is the only allowed",
                      text)
        self.assertIn("must include at least one of v1, v1beta1", text)

    def test_names_that_are_taken(self):
        self.define()
        other = self.definition()
        other["metadata"]["name"] = f"gadgets.{self.group}"
        other["spec"]["names"] = {"plural": "gadgets", "kind": "Widget"}
        self.apply(other)
        self.addCleanup(lambda: self.kubectl("delete", "crd", f"gadgets.{self.group}", "--ignore-not-found"))
        self.kubectl("wait", "--for=condition=NamesAccepted=False", f"crd/gadgets.{self.group}", "--timeout=5s")
        self.kubectl("delete", "crd", self.crd)
        self.kubectl("wait", "--for=condition=Established", f"crd/gadgets.{self.group}", "--timeout=5s")

    def test_deletion_takes_the_objects(self):
        self.define()
        for name in ("one", "two"):
            self.apply(self.widget(name))
        held = self.widget("held")
        held["metadata"]["finalizers"] = ["example.com/hold"]
        self.apply(held)
        self.kubectl("delete", "crd", self.crd, "--wait=false")
        self.kubectl("wait", "--for=condition=Terminating", f"crd/{self.crd}", "--timeout=5s")
        self.assertTrue(eventually(
            lambda: self.kubectl("get", self.crd, "-o", "name").stdout == f"widget.{self.group}/held\n", 5))
        self.refused(self.apply(self.widget("late"), check=False))
        self.kubectl("patch", self.crd, "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        self.kubectl("wait", "--for=delete", f"crd/{self.crd}", "--timeout=10s")
        self.assertNotIn(self.group, self.kubectl("api-versions").stdout)
        self.define()
        self.assertEqual(self.kubectl("get", self.crd, "-o", "name").stdout, "")

    def test_namespace_takes_the_objects(self):
        self.define()
        self.kubectl("create", "namespace", f"{self.ns}-2")
        self.daemon.kubectl("-n", f"{self.ns}-2", "apply", "-f", "-", input=json.dumps(self.widget()))
        self.kubectl("delete", "namespace", f"{self.ns}-2", "--timeout=20s")
        self.assertEqual(self.kubectl("get", self.crd, "-A", "-o", "name").stdout, "")

    def test_restart_keeps_everything(self):
        self.define()
        self.apply(self.widget(note="kept"))
        for stop in (self.daemon.terminate, self.daemon.kill9):
            stop()
            self.daemon.start()
            self.assertEqual(self.get()["spec"]["note"], "kept")
            self.assertIn("only large", self.refused(self.apply(self.widget(replicas=11), check=False)))
            self.kubectl("scale", "wd", "one", "--replicas=3")
            started = time.monotonic()
            self.apply(self.widget("after", note="new"))
            self.kubectl("delete", "wd", "after")
            self.assertLess(time.monotonic() - started, 10)
