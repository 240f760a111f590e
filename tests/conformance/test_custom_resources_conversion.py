"""kubectl 1.35, unchanged, and custom resources whose versions a webhook converts (ConversionReview)."""
import json
import tempfile

from harness.case import ClusterCase, eventually
from webhook_server import WebhookServer


def schema(field: str) -> dict:
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        field: {"type": "integer", "minimum": 0, "maximum": 9}, "colour": {"type": "string", "default": "red"}}}}}}


class Conversion(ClusterCase):
    with_node = False

    @classmethod
    def setUpClass(cls):
        cls.certificates = tempfile.TemporaryDirectory(prefix="moth-webhook-")
        cls.addClassCleanup(cls.certificates.cleanup)
        cls.server = WebhookServer(cls.certificates.name, ["127.0.0.1"])
        cls.addClassCleanup(cls.server.stop)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.server.asked.clear()
        self.server.routes["/convert"] = lambda request: self.answer(request)
        self.group = f"{self.ns}.example.com"
        self.crd = f"widgets.{self.group}"
        self.definition = definition = {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": self.crd},
            "spec": {"group": self.group, "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema("replicas")},
                                  {"name": "v1beta1", "served": True, "storage": False, "schema": schema("count")}],
                     "conversion": {"strategy": "Webhook", "webhook": {
                         "conversionReviewVersions": ["v1"], "clientConfig": self.server.by_url("/convert")}}}}
        self.kubectl("apply", "-f", "-", input=json.dumps(definition))
        self.addCleanup(lambda: self.kubectl("delete", "crd", self.crd, "--ignore-not-found"))
        self.kubectl("wait", "--for=condition=Established", f"crd/{self.crd}", "--timeout=10s")

    def kubectl(self, *args, **kwargs):
        return self.daemon.kubectl("-n", self.ns, *args, **kwargs)

    def converted(self, request: dict) -> list:
        """`replicas` of v1 is `count` of v1beta1."""
        names = ("replicas", "count")
        if request["desiredAPIVersion"].endswith("/v1"):
            names = names[::-1]
        objects = json.loads(json.dumps(request["objects"]))
        for made in objects:
            made["apiVersion"] = request["desiredAPIVersion"]
            if names[0] in made.get("spec", {}):
                made["spec"][names[1]] = made["spec"].pop(names[0])
            made["metadata"].setdefault("labels", {})["converted"] = "yes"
        return objects

    def answer(self, request: dict, **response) -> tuple:
        given = {"uid": request["uid"], "result": {"status": "Success"}}
        if "convertedObjects" not in response and "result" not in response:
            given["convertedObjects"] = self.converted(request)
        return 200, json.dumps({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
                                "response": {**given, **response}})

    def widget(self, version: str, name: str = "one", **spec) -> str:
        return json.dumps({"apiVersion": f"{self.group}/{version}", "kind": "Widget", "metadata": {"name": name},
                           "spec": spec})

    def get(self, version: str, name: str = "one") -> dict:
        return json.loads(self.kubectl("get", f"widgets.{version}.{self.group}", name, "-o", "json").stdout)

    def test_the_stored_version_needs_no_webhook(self):
        self.kubectl("apply", "-f", "-", input=self.widget("v1", replicas=3))
        self.assertEqual(self.get("v1")["spec"], {"replicas": 3, "colour": "red"})
        self.assertEqual(self.server.asked, [])

    def test_reading_and_writing_another_version(self):
        self.kubectl("create", "-f", "-", input=self.widget("v1beta1", count=2))
        self.assertEqual(self.get("v1")["spec"], {"replicas": 2, "colour": "red"})
        shown = self.get("v1beta1")
        self.assertEqual((shown["apiVersion"], shown["spec"]),
                         (f"{self.group}/v1beta1", {"count": 2, "colour": "red"}))
        self.assertEqual(shown["metadata"]["labels"], {"converted": "yes"})
        self.kubectl("apply", "-f", "-", input=self.widget("v1", "two", replicas=5))
        listed = json.loads(self.kubectl("get", f"widgets.v1beta1.{self.group}", "-o", "json").stdout)["items"]
        self.assertEqual([entry["spec"]["count"] for entry in listed], [2, 5])
        old = f"widgets.v1beta1.{self.group}"
        self.kubectl("patch", old, "one", "--type=merge", "-p", '{"spec":{"count":4}}')
        self.assertEqual(self.get("v1")["spec"]["replicas"], 4)
        self.kubectl("patch", old, "one", "--type=json", "-p", '[{"op":"replace","path":"/spec/count","value":7}]')
        self.assertEqual(self.get("v1")["spec"]["replicas"], 7)
        changed = self.get("v1beta1")
        changed["spec"]["count"] = 1
        self.kubectl("replace", "-f", "-", input=json.dumps(changed))
        self.assertEqual(self.get("v1")["spec"]["replicas"], 1)
        self.kubectl("delete", old, "one")
        self.assertEqual(self.kubectl("get", self.crd, "-o", "name").stdout, f"widget.{self.group}/two\n")
        path, request = self.server.asked[0]
        self.assertEqual((path, request["desiredAPIVersion"]), ("/convert", f"{self.group}/v1"))

    def test_the_stored_version_moves_on(self):
        self.kubectl("apply", "-f", "-", input=self.widget("v1", replicas=3))
        for version in self.definition["spec"]["versions"]:
            version["storage"] = version["name"] == "v1beta1"
        self.kubectl("apply", "-f", "-", input=json.dumps(self.definition))
        status = json.loads(self.kubectl("get", "crd", self.crd, "-o", "json").stdout)["status"]
        self.assertEqual(status["storedVersions"], ["v1", "v1beta1"])
        # The object is still in the old form; both versions show it.
        self.assertTrue(eventually(lambda: self.get("v1beta1")["spec"] == {"count": 3, "colour": "red"}, 5))
        self.assertEqual(self.get("v1")["spec"], {"replicas": 3, "colour": "red"})
        self.kubectl("patch", f"widgets.v1beta1.{self.group}", "one", "--type=merge", "-p", '{"spec":{"count":4}}')
        self.assertEqual(self.get("v1")["spec"]["replicas"], 4)
        self.kubectl("patch", f"widgets.v1.{self.group}", "one", "--type=merge", "-p", '{"spec":{"replicas":5}}')
        self.server.asked.clear()
        self.assertEqual(self.get("v1beta1")["spec"]["count"], 5)
        self.assertEqual(self.server.asked, [])

    def test_objects_are_checked_in_the_version_of_the_request(self):
        refused = self.kubectl("create", "-f", "-", input=self.widget("v1beta1", count=12), check=False)
        self.assertIn("spec.count: Invalid value: 12: spec.count in body should be less than or equal to 9",
                      refused.stderr)
        refused = self.kubectl("create", "-f", "-", input=self.widget("v1beta1", replicas=1), check=False)
        self.assertIn('unknown field "spec.replicas"', refused.stderr)

    def test_watches_show_their_version(self):
        self.kubectl("apply", "-f", "-", input=self.widget("v1", replicas=3))
        watch = self.daemon.popen_kubectl("get", "--raw", f"/apis/{self.group}/v1beta1/namespaces/{self.ns}/widgets?"
                                          "watch=1&timeoutSeconds=30&resourceVersion=0")
        for undo in (watch.stdout.close, watch.stderr.close, watch.wait, watch.kill):
            self.addCleanup(undo)
        event = json.loads(watch.stdout.readline())
        self.assertEqual((event["type"], event["object"]["spec"]["count"]), ("ADDED", 3))
        self.kubectl("patch", self.crd, "one", "--type=merge", "-p", '{"spec":{"replicas":6}}')
        event = json.loads(watch.stdout.readline())
        self.assertEqual((event["type"], event["object"]["spec"]["count"]), ("MODIFIED", 6))

    def test_answers_that_do_not_hold(self):
        self.kubectl("apply", "-f", "-", input=self.widget("v1", replicas=3))

        def renamed(request):
            objects = self.converted(request)
            objects[0]["metadata"]["name"] = "other"
            return self.answer(request, convertedObjects=objects)

        said = f"conversion webhook for {self.group}/v1, Kind=Widget "
        for route, text in (
                (lambda r: self.answer(r, result={"status": "Failed", "message": "no way"}), said + "failed: no way"),
                (lambda r: self.answer(r, uid="other"), said + "failed: expected response.uid="),
                (lambda r: self.answer(r, convertedObjects=[]), said + "returned 0 objects, expected 1"),
                (lambda r: self.answer(r, convertedObjects=r["objects"]),
                 said + "returned invalid converted object at index 0: invalid groupVersion (expected "
                        f"{self.group}/v1beta1, received {self.group}/v1)"),
                (renamed, said + "returned invalid metadata: must have the same name: other != one"),
                (lambda r: (500, "broken"), said + "failed: ")):
            self.server.routes["/convert"] = route
            done = self.kubectl("get", f"widgets.v1beta1.{self.group}", "one", check=False)
            self.assertIn(text, done.stderr)
        # What is stored is not harmed.
        self.assertEqual(self.get("v1")["spec"]["replicas"], 3)
        self.server.routes["/convert"] = lambda request: self.answer(request)
        self.assertTrue(eventually(lambda: self.get("v1beta1")["spec"]["count"] == 3, 5))
