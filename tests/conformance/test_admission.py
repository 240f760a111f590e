"""Admission as kubectl's users meet it: limits, quotas, Pod Security, webhooks. Without a node, so without root."""
import concurrent.futures
import tempfile
import threading
import unittest

from harness.api import ApiError
from harness.case import ClusterCase, eventually
from webhook_server import WebhookServer, patch, webhook


class Admission(ClusterCase):
    with_node = False

    def kubectl(self, *args, **kwargs):
        return self.daemon.kubectl("-n", self.ns, *args, **kwargs)

    def refuses(self, *args, **kwargs) -> str:
        done = self.kubectl(*args, check=False, **kwargs)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def test_limits(self):
        self.api.create("limitranges", self.ns, {"metadata": {"name": "l"}, "spec": {"limits": [
            {"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}}]}})
        self.kubectl("run", "a", "--image=x")
        resources = self.api.get("pods", self.ns, "a")["spec"]["containers"][0]["resources"]
        self.assertEqual(resources, {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}})
        body = self.pod_body("b", container={"image": "x", "resources": {"limits": {"cpu": "2"}}})
        error = self.refused(403, self.api.create, "pods", self.ns, body)
        self.assertEqual(error.message,
                         'pods "b" is forbidden: maximum cpu usage per Container is 1, but limit is 2')
        self.assertIn("Container", self.kubectl("describe", "limits").stdout)

    def test_quota_with_sixteen_creators(self):
        self.kubectl("create", "quota", "q", "--hard=configmaps=11,pods=5")
        eventually(lambda: self.api.get("resourcequotas", self.ns, "q").get("status", {}).get("used"))
        # kube-root-ca.crt may be there already.
        before = len(self.api.list("configmaps", self.ns))
        gate = threading.Barrier(16)

        def create(number: int) -> int:
            from harness.api import Api
            api = Api(self.daemon.kubeconfig)
            gate.wait()
            try:
                api.create("configmaps", self.ns, {"metadata": {"name": f"m{number}"}})
                return 201
            except ApiError as error:
                self.assertIn("exceeded quota: q, requested: configmaps=1, used: configmaps=11, limited: configmaps=11",
                              error.message)
                return error.code
            finally:
                api.close()

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(create, range(16)))
        self.assertEqual(codes.count(201), 11 - before, codes)
        self.assertEqual(codes.count(403), 5 + before, codes)
        eventually(lambda: self.api.get("resourcequotas", self.ns, "q")["status"]["used"]["configmaps"] == "11")
        self.assertRegex(self.kubectl("describe", "quota", "q").stdout, r"configmaps +11 +11")

    def test_pod_security(self):
        self.daemon.kubectl("label", "ns", self.ns, "pod-security.kubernetes.io/enforce=restricted")
        said = self.refuses("run", "a", "--image=x")
        self.assertIn('pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != '
                      'false (container "a" must set securityContext.allowPrivilegeEscalation=false), ', said)
        made = self.kubectl("create", "deployment", "d", "--image=x")
        self.assertIn('Warning: would violate PodSecurity "restricted:latest": ', made.stderr)
        self.assertIn("deployment.apps/d created", made.stdout)
        said = self.daemon.kubectl("label", "ns", self.ns, "--overwrite", "pod-security.kubernetes.io/enforce=strict",
                                   check=False).stderr
        self.assertIn("must be one of privileged, baseline, restricted", said)

    def test_tightening_a_namespace_warns_about_its_pods(self):
        self.kubectl("run", "a", "--image=x")
        said = self.daemon.kubectl("label", "ns", self.ns, "pod-security.kubernetes.io/enforce=restricted").stderr
        self.assertIn(f'Warning: existing pods in namespace "{self.ns}" violate the new PodSecurity enforce level '
                      '"restricted:latest"', said)
        self.assertIn("Warning: a: allowPrivilegeEscalation != false, unrestricted capabilities", said)

    def test_events(self):
        self.api.create("events", self.ns, {
            "metadata": {"name": "x.1"}, "reason": "Tried", "message": "it works", "type": "Normal",
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": self.ns, "apiVersion": "v1"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1,
            "source": {"component": "test"}})
        self.assertIn("it works", self.kubectl("events", "--for", "pod/p").stdout)
        self.assertIn("it works", self.kubectl("get", "events").stdout)
        new = self.api.call("GET", f"/apis/events.k8s.io/v1/namespaces/{self.ns}/events/x.1")
        self.assertEqual((new["note"], new["regarding"]["name"], new["deprecatedCount"]), ("it works", "p", 1))
        # A series, as the newer recorder of client-go writes it, and the older view of it.
        self.api.call("POST", f"/apis/events.k8s.io/v1/namespaces/{self.ns}/events", {
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "y.1"}, "note": "again",
            "reason": "Tried", "type": "Normal", "action": "Try", "reportingController": "example.com/test",
            "reportingInstance": "test-1", "eventTime": "2026-01-01T00:00:00.000000Z",
            "regarding": {"kind": "Pod", "name": "p", "namespace": self.ns}})
        self.api.call("PATCH", f"/apis/events.k8s.io/v1/namespaces/{self.ns}/events/y.1",
                      {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}},
                      content_type="application/merge-patch+json")
        old = self.api.get("events", self.ns, "y.1")
        self.assertEqual((old["message"], old["series"]["count"]), ("again", 2))


    def test_validating_policy(self):
        group = "/apis/admissionregistration.k8s.io/v1"
        policy = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
                  "metadata": {"name": "few"}, "spec": {
                      "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                      "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"],
                                                              "operations": ["CREATE", "UPDATE"],
                                                              "resources": ["deployments"]}]},
                      "variables": [{"name": "most", "expression": "int(params.data.most)"}],
                      "validations": [
                          {"expression": "object.spec.replicas <= variables.most",
                           "messageExpression": "'at most ' + string(variables.most) + ' replicas'"},
                          {"expression": "namespaceObject.metadata.name != 'x'"}]}}
        binding = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
                   "metadata": {"name": "here"}, "spec": {
                       "policyName": "few", "validationActions": ["Deny"],
                       "paramRef": {"name": "limit", "namespace": self.ns, "parameterNotFoundAction": "Deny"},
                       "matchResources": {"namespaceSelector": {
                           "matchLabels": {"kubernetes.io/metadata.name": self.ns}}}}}
        self.api.call("POST", group + "/validatingadmissionpolicies", policy)
        self.addCleanup(self.api.call, "DELETE", group + "/validatingadmissionpolicies/few")
        self.api.call("POST", group + "/validatingadmissionpolicybindings", binding)
        self.addCleanup(self.api.call, "DELETE", group + "/validatingadmissionpolicybindings/here")
        self.assertIn("no params found for policy binding with `Deny` parameterNotFoundAction",
                      self.refuses("create", "deployment", "d", "--image=x"))
        self.api.create("configmaps", self.ns, {"metadata": {"name": "limit"}, "data": {"most": "2"}})
        said = self.refuses("create", "deployment", "d", "--image=x", "--replicas=3")
        self.assertIn("ValidatingAdmissionPolicy 'few' with binding 'here' denied request: at most 2 replicas", said)
        self.kubectl("create", "deployment", "d", "--image=x", "--replicas=2")


class SwitchedOff(ClusterCase):
    with_node = False
    daemon_args = ("--disable-admission-plugins", "LimitRanger,PodSecurity,ResourceQuota")

    def test_what_is_switched_off_refuses_nothing(self):
        self.daemon.kubectl("label", "ns", self.ns, "pod-security.kubernetes.io/enforce=restricted")
        self.daemon.kubectl("-n", self.ns, "create", "quota", "q", "--hard=pods=0")
        self.daemon.kubectl("-n", self.ns, "run", "a", "--image=x")


class Webhooks(ClusterCase):
    with_node = False

    @classmethod
    def setUpClass(cls):
        cls.certificates = tempfile.TemporaryDirectory(prefix="moth-webhook-")
        cls.addClassCleanup(cls.certificates.cleanup)
        cls.server = WebhookServer(cls.certificates.name, ["127.0.0.1", "hook.shop.svc"])
        cls.addClassCleanup(cls.server.stop)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.server.routes.clear()
        self.server.asked.clear()

    def configure(self, kind: str, *webhooks, **routes):
        resource = {"Mutating": "mutatingwebhookconfigurations", "Validating": "validatingwebhookconfigurations"}[kind]
        for path, answer in routes.items():
            self.server.routes["/" + path] = answer
        for one in webhooks:
            one.setdefault("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": self.ns}})
        path = f"/apis/admissionregistration.k8s.io/v1/{resource}"
        name = f"{self.ns}-{kind.lower()}"
        self.api.call("POST", path, {"apiVersion": "admissionregistration.k8s.io/v1",
                                     "kind": f"{kind}WebhookConfiguration", "metadata": {"name": name},
                                     "webhooks": list(webhooks)})
        self.addCleanup(self.api.call, "DELETE", f"{path}/{name}")

    def make(self, name: str, **data):
        return self.api.create("configmaps", self.ns, {"metadata": {"name": name}, "data": data})

    def test_denied(self):
        self.configure("Validating", webhook("no.example.com", self.server.by_url("/no")),
                       no=lambda request: {"allowed": False, "status": {"code": 403, "message": "not today"},
                                           "warnings": ["think again"]})
        said = self.daemon.kubectl("-n", self.ns, "create", "configmap", "c", check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn('admission webhook "no.example.com" denied the request: not today', said.stderr)
        self.assertIn("Warning: think again", said.stderr)
        self.assertIsNone(self.api.find("configmaps", self.ns, "c"))
        path, request = self.server.asked[0]
        self.assertEqual((path, request["operation"], request["namespace"], request["kind"]["kind"]),
                         ("/no", "CREATE", self.ns, "ConfigMap"))
        self.assertEqual(request["resource"], {"group": "", "version": "v1", "resource": "configmaps"})
        self.assertIsNone(request["oldObject"])
        self.assertIn("system:masters", request["userInfo"]["groups"])

    def test_mutated_and_asked_again(self):
        def count(request):
            seen = int(request["object"].get("data", {}).get("seen", "0"))
            return patch({"op": "add", "path": "/data/seen", "value": str(seen + 1)})

        self.configure(
            "Mutating",
            webhook("a.example.com", self.server.by_url("/count"), reinvocationPolicy="IfNeeded"),
            webhook("b.example.com", self.server.by_url("/label")),
            count=count,
            label=lambda request: patch({"op": "add", "path": "/metadata/labels", "value": {"by": "b"}}))
        made = self.make("c", k="v")
        self.assertEqual(made["metadata"]["labels"], {"by": "b"})
        # Once for itself and once because the other changed the object behind it.
        self.assertEqual(made["data"], {"k": "v", "seen": "2"})
        self.assertEqual([path for path, _ in self.server.asked], ["/count", "/label", "/count"])

    def test_updates_see_the_old_object_and_deletes_are_asked_about(self):
        rule = {"operations": ["UPDATE", "DELETE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["configmaps"]}
        self.configure("Validating", webhook("u.example.com", self.server.by_url("/u"), [rule]),
                       u=lambda request: {"allowed": request["operation"] == "UPDATE"})
        self.make("c", k="1")
        self.api.patch("configmaps", self.ns, "c", {"data": {"k": "2"}})
        _, request = self.server.asked[0]
        self.assertEqual((request["oldObject"]["data"], request["object"]["data"]), ({"k": "1"}, {"k": "2"}))
        error = self.refused(400, self.api.delete, "configmaps", self.ns, "c")
        self.assertEqual(error.message, 'admission webhook "u.example.com" denied the request without explanation')
        _, request = self.server.asked[1]
        self.assertIsNone(request["object"])
        self.assertEqual(request["oldObject"]["data"], {"k": "2"})

    def test_concurrent_patches_are_all_kept(self):
        """The object changes while the webhook thinks; nobody's change may be lost."""
        self.configure("Validating", webhook("slow.example.com", self.server.by_url("/slow")),
                       slow=lambda request: {"allowed": True})
        self.make("c")

        def change(number: int):
            from harness.api import Api
            api = Api(self.daemon.kubeconfig)
            try:
                for attempt in range(20):
                    try:
                        return api.patch("configmaps", self.ns, "c", {"data": {f"k{number}": "v"}})
                    except ApiError as error:
                        if error.code != 409:
                            raise
                raise AssertionError("always in conflict")
            finally:
                api.close()

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(change, range(6)))
        self.assertEqual(sorted(self.api.get("configmaps", self.ns, "c")["data"]), [f"k{n}" for n in range(6)])

    def test_failure_policies(self):
        nowhere = {"url": "https://127.0.0.1:1/x"}
        self.configure("Validating", webhook("dead.example.com", nowhere, failurePolicy="Ignore"))
        self.make("c")
        self.configure("Mutating", webhook("dead2.example.com", nowhere, failurePolicy="Fail"))
        error = self.refused(500, self.make, "d")
        self.assertIn('failed calling webhook "dead2.example.com": failed to call webhook: Post '
                      '"https://127.0.0.1:1/x?timeout=5s": dial tcp 127.0.0.1:1: connect: connection refused',
                      error.message)

    def test_broken_answers_and_slow_ones(self):
        import time
        self.configure("Validating",
                       webhook("odd.example.com", self.server.by_url("/odd"),
                               objectSelector={"matchLabels": {"ask": "odd"}}),
                       webhook("slow.example.com", self.server.by_url("/slow"), timeoutSeconds=1,
                               objectSelector={"matchLabels": {"ask": "slow"}}),
                       odd=lambda request: (200, "no json"),
                       slow=lambda request: time.sleep(1.6) or {"allowed": True})
        for who, text in (("odd", "received invalid webhook response"), ("slow", "context deadline exceeded")):
            with self.subTest(who):
                error = self.refused(500, self.api.create, "configmaps", self.ns,
                                     {"metadata": {"name": who, "labels": {"ask": who}}})
                self.assertIn(text, error.message)
        self.make("other")

    def test_dry_runs_and_match_conditions(self):
        self.configure("Validating",
                       webhook("effects.example.com", self.server.by_url("/no"), sideEffects="NoneOnDryRun",
                               matchConditions=[{"name": "only-x", "expression": "object.metadata.name == 'x'"}]),
                       no=lambda request: {"allowed": False})
        self.make("y")
        self.assertEqual(self.server.asked, [])
        self.refused(400, self.make, "x")
        path = f"/api/v1/namespaces/{self.ns}/configmaps?dryRun=All"
        self.refused(400, self.api.call, "POST", path, {"metadata": {"name": "x"}})
        self.assertTrue(self.server.asked[-1][1]["dryRun"])

    def test_by_service(self):
        """The service's ready endpoint is called, under the service's name."""
        try:
            self.api.create("namespaces", "", {"metadata": {"name": "shop"}})
        except ApiError as error:
            self.assertEqual(error.code, 409)
        self.addCleanup(self.api.delete_if_there, "namespaces", "", "shop")
        self.api.create("services", "shop", {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443}]}})
        self.api.call("POST", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
            "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"name": "", "port": self.server.port}]})
        client = {"service": {"namespace": "shop", "name": "hook", "path": "/no"}, "caBundle": self.server.ca_bundle()}
        self.configure("Validating", webhook("svc.example.com", client), no=lambda request: {"allowed": False})
        error = self.refused(400, self.make, "c")
        self.assertIn("svc.example.com", error.message)
        self.api.call("DELETE", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/hook-1")
        error = self.refused(500, self.make, "c")
        self.assertIn('no endpoints available for service "hook"', error.message)

    def test_services_are_shown_without_an_address_and_get_one(self):
        rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["services"]}
        self.configure("Mutating", webhook("s.example.com", self.server.by_url("/s"), [rule]),
                       s=lambda request: {"allowed": request["object"]["metadata"]["name"] == "good"})
        for _ in range(2):
            self.refused(400, self.api.create, "services", self.ns, {"metadata": {"name": "bad"},
                                                                   "spec": {"ports": [{"port": 1}]}})
        made = self.api.create("services", self.ns, {"metadata": {"name": "good"}, "spec": {"ports": [{"port": 1}]}})
        self.assertTrue(made["spec"]["clusterIP"])
        self.assertFalse(any(request["object"]["spec"].get("clusterIP") for _, request in self.server.asked))


if __name__ == "__main__":
    unittest.main()
