"""kubectl 1.35, unchanged: every generator of `kubectl create`. Their bodies are protobuf, and kubectl does not try JSON."""
import base64
import json
import subprocess

from kubectl_case import KubectlCase, lines

PROTOBUF = "application/vnd.kubernetes.protobuf"


class Create(KubectlCase):
    def made(self, kind: str, name: str, *args, said: str = "", **kwargs) -> dict:
        """Creates by `create KIND NAME ARGS` and gives the object."""
        resource = kind.split()[0]
        out = self.kubectl("create", *kind.split(), name, *args, **kwargs)
        self.assertRegex(out, rf"^[a-z.0-9]+/{name} created\n$")
        if said:
            self.assertEqual(out, f"{said}/{name} created\n")
        found = {"quota": "resourcequota", "pdb": "poddisruptionbudget"}.get(resource, resource)
        return self.json("get", found, name)

    def cluster_scoped(self, kind: str) -> str:
        """A name of the test's own, removed at its end."""
        self.addCleanup(self.run_kubectl, "delete", kind, self.ns)
        return self.ns

    def test_the_body_is_protobuf(self):
        for args in (["configmap", "c", "--from-literal=a=b"], ["deployment", "d", "--image=x"],
                     ["serviceaccount", "s"], ["quota", "q", "--hard=pods=1"]):
            posts = [kind for method, _, kind in self.requests("create", *args) if method == "POST"]
            self.assertEqual(posts, [PROTOBUF], args)
        self.assertEqual([kind for method, _, kind in self.requests("create", "-f", "-", input=json.dumps(
            self.config_map("j"))) if method == "POST"], ["application/json"])

    def test_configmap(self):
        folder = self.folder()
        (folder / "one.txt").write_text("first\n")
        (folder / "raw").write_bytes(b"\xff\xfe\x00")
        (folder / "env").write_text("# comment\nA=1\nB=two words\n")
        made = self.made("configmap", "from-file", f"--from-file={folder}/one.txt", f"--from-file=key={folder}/raw",
                         said="configmap")
        self.assertEqual((made["data"], made["binaryData"]), ({"one.txt": "first\n"}, {"key": "//4A"}))
        made = self.made("configmap", "from-folder", f"--from-file={folder}")
        self.assertEqual(sorted(made["data"]), ["env", "one.txt"])
        self.assertEqual(sorted(made["binaryData"]), ["raw"])
        self.assertEqual(self.made("configmap", "from-env", f"--from-env-file={folder}/env")["data"],
                         {"A": "1", "B": "two words"})
        self.assertEqual(self.made("configmap", "literal", "--from-literal=a=b", "--from-literal=c=d=e")["data"],
                         {"a": "b", "c": "d=e"})
        out = self.kubectl("create", "configmap", "hashed", "--from-literal=a=b", "--append-hash")
        self.assertRegex(out, r"^configmap/hashed-[a-z0-9]{10} created\n$")
        self.assertEqual(self.fails("create", "configmap", "literal"),
                         'error: failed to create configmap: configmaps "literal" already exists\n')

    def test_secrets(self):
        folder = self.folder()
        (folder / "f").write_text("secret")
        made = self.made("secret generic", "g", "--from-literal=a=b", f"--from-file=k={folder}/f", "--type=example.com/t",
                         said="secret")
        self.assertEqual((made["data"], made["type"]), ({"a": "Yg==", "k": "c2VjcmV0"}, "example.com/t"))
        self.assertEqual(self.made("secret generic", "plain")["type"], "Opaque")
        made = self.made("secret docker-registry", "d", "--docker-server=r.example", "--docker-username=u",
                         "--docker-password=p", "--docker-email=e@x")
        self.assertEqual(made["type"], "kubernetes.io/dockerconfigjson")
        self.assertEqual(json.loads(base64.b64decode(made["data"][".dockerconfigjson"])),
                         {"auths": {"r.example": {"username": "u", "password": "p", "email": "e@x", "auth": "dTpw"}}})
        key, certificate = folder / "tls.key", folder / "tls.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", certificate, "-subj", "/CN=x", "-days", "1"], check=True,
                       capture_output=True)
        made = self.made("secret tls", "t", f"--cert={certificate}", f"--key={key}")
        self.assertEqual((made["type"], sorted(made["data"])), ("kubernetes.io/tls", ["tls.crt", "tls.key"]))
        self.assertEqual(base64.b64decode(made["data"]["tls.key"]), key.read_bytes())

    def test_workloads(self):
        made = self.made("deployment", "d", "--image=nginx:1", "--image=side:2", "--replicas=0", "--port=8080",
                         said="deployment.apps")
        spec = made["spec"]["template"]["spec"]
        self.assertEqual([c["name"] for c in spec["containers"]], ["nginx", "side"])
        self.assertEqual(made["spec"]["replicas"], 0)
        self.assertEqual(spec["containers"][0]["ports"], [{"containerPort": 8080, "protocol": "TCP"}])
        made = self.made("deployment", "e", "--image=x", "--", "sleep", "1")
        self.assertEqual(made["spec"]["template"]["spec"]["containers"][0]["command"], ["sleep", "1"])
        made = self.made("job", "j", "--image=x", "--", "date", said="job.batch")
        self.assertEqual(made["spec"]["template"]["spec"]["restartPolicy"], "Never")
        made = self.made("cronjob", "c", "--image=x", "--schedule=*/5 * * * *", "--restart=OnFailure", "--", "date",
                         said="cronjob.batch")
        self.assertEqual((made["spec"]["schedule"], made["spec"]["concurrencyPolicy"]), ("*/5 * * * *", "Allow"))
        made = self.made("job", "by-hand", "--from=cronjob/c")
        self.assertEqual(made["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual")
        owner = made["metadata"]["ownerReferences"][0]
        self.assertEqual((owner["kind"], owner["name"], owner["controller"]), ("CronJob", "c", True))
        self.assertEqual(made["spec"]["template"]["spec"]["containers"][0]["command"], ["date"])
        self.assertIn("Invalid value", self.fails("create", "cronjob", "bad", "--image=x", "--schedule=nope"))

    def test_services(self):
        made = self.made("service clusterip", "a", "--tcp=80:8080", "--tcp=53", said="service")
        self.assertEqual([(p["name"], p["port"], p["targetPort"]) for p in made["spec"]["ports"]],
                         [("80-8080", 80, 8080), ("53", 53, 53)])
        self.assertEqual(made["spec"]["selector"], {"app": "a"})
        self.assertTrue(made["spec"]["clusterIP"].startswith("10."))
        self.assertEqual(self.made("service clusterip", "headless", "--clusterip=None")["spec"]["clusterIP"], "None")
        port = self.daemon.node_port_first + 7
        made = self.made("service nodeport", "b", "--tcp=80:8080", f"--node-port={port}")
        self.assertEqual((made["spec"]["type"], made["spec"]["ports"][0]["nodePort"]), ("NodePort", port))
        made = self.made("service loadbalancer", "c", "--tcp=80:8080")
        self.assertEqual(made["spec"]["type"], "LoadBalancer")
        self.assertGreater(made["spec"]["ports"][0]["nodePort"], 0)
        made = self.made("service externalname", "d", "--external-name=bar.com")
        self.assertEqual((made["spec"]["type"], made["spec"]["externalName"]), ("ExternalName", "bar.com"))
        self.assertNotIn("clusterIP", made["spec"])
        self.assertRegex(self.kubectl("get", "svc"), r"(?s)a +ClusterIP +10\.\S+ +<none> +80/TCP,53/TCP .*"
                         rf"b +NodePort +10\.\S+ +<none> +80:{port}/TCP .*c +LoadBalancer +10\.\S+ +<pending> +80:\d+/TCP "
                         r".*d +ExternalName +<none> +bar.com +<none> .*headless +ClusterIP +None +<none> +<none>")

    def test_ingress(self):
        made = self.made("ingress", "i", "--class=web", "--rule=foo.com/=svc:https,tls",
                         "--rule=foo.com/path/sub*=other:8080", "--default-backend=base:http", "--annotation=a=b",
                         said="ingress.networking.k8s.io")
        spec = made["spec"]
        self.assertEqual(spec["ingressClassName"], "web")
        self.assertEqual([(p["path"], p["pathType"]) for p in spec["rules"][0]["http"]["paths"]],
                         [("/", "Exact"), ("/path/sub", "Prefix")])
        self.assertEqual(spec["tls"], [{"hosts": ["foo.com"]}])
        self.assertEqual(spec["defaultBackend"], {"service": {"name": "base", "port": {"name": "http"}}})
        self.assertEqual(made["metadata"]["annotations"], {"a": "b"})
        self.assertRegex(self.kubectl("get", "ing"), r"i +web +foo.com +80, 443 ")

    def test_rights(self):
        made = self.made("role", "r", "--verb=get,list", "--resource=pods,deployments.apps", "--resource=pods/log",
                         said="role.rbac.authorization.k8s.io")
        self.assertEqual(made["rules"], [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
                                         {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}])
        made = self.made("rolebinding", "b", "--role=r", "--user=u", "--group=g", f"--serviceaccount={self.ns}:s")
        self.assertEqual([(s["kind"], s["name"]) for s in made["subjects"]],
                         [("User", "u"), ("Group", "g"), ("ServiceAccount", "s")])
        name = self.cluster_scoped("clusterrole")
        made = self.made("clusterrole", name, "--verb=get", "--non-resource-url=/logs/*")
        self.assertEqual(made["rules"], [{"nonResourceURLs": ["/logs/*"], "verbs": ["get"]}])
        self.kubectl("delete", "clusterrole", name)
        made = self.made("clusterrole", name, "--aggregation-rule=rbac.example.com/aggregate=true")
        self.assertEqual(made["aggregationRule"]["clusterRoleSelectors"],
                         [{"matchLabels": {"rbac.example.com/aggregate": "true"}}])
        name = self.cluster_scoped("clusterrolebinding")
        made = self.made("clusterrolebinding", name, "--clusterrole=view", "--user=u")
        self.assertEqual(made["roleRef"]["name"], "view")
        made = self.made("serviceaccount", "sa", said="serviceaccount")
        token = self.kubectl("create", "token", "sa", "--duration=10m").strip()
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        self.assertEqual(claims["sub"], f"system:serviceaccount:{self.ns}:sa")
        self.assertEqual(claims["exp"] - claims["iat"], 600)
        self.kubectl("create", "secret", "generic", "bound")
        token = self.kubectl("create", "token", "sa", "--audience=a.example", "--bound-object-kind=Secret",
                             "--bound-object-name=bound").strip()
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        self.assertEqual((claims["aud"], claims["kubernetes.io"]["secret"]["name"]), (["a.example"], "bound"))
        self.assertIn('serviceaccounts "nope" not found', self.fails("create", "token", "nope"))

    def test_policy_and_quota(self):
        made = self.made("poddisruptionbudget", "p", "--selector=app=x", "--min-available=1",
                         said="poddisruptionbudget.policy")
        self.assertEqual(made["spec"], {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}})
        self.assertEqual(self.made("pdb", "q", "--selector=app=x", "--max-unavailable=50%")["spec"]["maxUnavailable"],
                         "50%")
        made = self.made("quota", "r", "--hard=cpu=1,pods=2", "--scopes=NotTerminating", said="resourcequota")
        self.assertEqual((made["spec"]["hard"], made["spec"]["scopes"]), ({"cpu": "1", "pods": "2"}, ["NotTerminating"]))
        name = self.cluster_scoped("priorityclass")
        made = self.made("priorityclass", name, "--value=1000", "--description=some words", "--preemption-policy=Never",
                         said="priorityclass.scheduling.k8s.io")
        self.assertEqual((made["value"], made["description"], made["preemptionPolicy"]), (1000, "some words", "Never"))

    def test_namespace(self):
        name = self.ns + "-more"
        self.addCleanup(self.run_kubectl, "delete", "ns", name, "--wait=false")
        self.assertEqual(self.kubectl("create", "namespace", name), f"namespace/{name} created\n")
        self.assertEqual(self.fails("create", "ns", name),
                         f'Error from server (AlreadyExists): namespaces "{name}" already exists\n')
        self.assertEqual(self.fails("-n", "nope", "create", "configmap", "c"),
                         'error: failed to create configmap: namespaces "nope" not found\n')

    def test_dry_runs_print_and_change_nothing(self):
        for where in ("client", "server"):
            out = self.kubectl("create", "deployment", "d", "--image=x", f"--dry-run={where}")
            self.assertEqual(out, "deployment.apps/d created ({} dry run)\n".format(where) if where == "server"
                             else "deployment.apps/d created (dry run)\n")
            shown = self.json("create", "deployment", "d", "--image=x", f"--dry-run={where}")
            self.assertEqual("uid" in shown["metadata"], where == "server")
        self.assertEqual(self.kubectl("get", "deploy", "--ignore-not-found"), "")

    def test_from_files(self):
        folder = self.folder()
        (folder / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n---\n"
                                       "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n")
        (folder / "b.json").write_text(json.dumps(self.config_map("three")))
        (folder / "deep").mkdir()
        (folder / "deep" / "c.yml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: four-}\n")
        self.assertEqual(self.kubectl("create", "-f", str(folder)),
                         "configmap/one created\nconfigmap/two created\nconfigmap/three created\n")
        self.assertRegex(self.kubectl("create", "-f", str(folder / "deep"), "-R"), r"^configmap/four-[a-z0-9]{5} created\n$")
        error = self.fails("create", "-f", str(folder / "b.json"))
        self.assertIn(f'Error from server (AlreadyExists): error when creating "{folder}/b.json": '
                      'configmaps "three" already exists', error)
        path = f"/api/v1/namespaces/{self.ns}/configmaps"
        raw = json.loads(self.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(self.config_map("raw"))))
        self.assertEqual(raw["metadata"]["name"], "raw")
        out = self.kubectl("create", "-f", "-", "--save-config", input=json.dumps(self.config_map("saved")))
        self.assertEqual(out, "configmap/saved created\n")
        self.assertIn('"a":"1"', self.json("get", "cm", "saved")["metadata"]["annotations"][
            "kubectl.kubernetes.io/last-applied-configuration"])

    def test_create_and_edit(self):
        env = self.editor("sed -i 's/a: \"1\"/a: edited/' \"$1\"")
        self.kubectl("create", "--edit", "-f", "-", input=json.dumps(self.config_map("edited")), env=env)
        self.assertEqual(self.value("cm/edited", ".data.a"), "edited")

    def test_strict_and_lenient_validation(self):
        body = dict(self.config_map("odd"), bogus=1)
        error = self.fails("create", "-f", "-", input=json.dumps(body))
        self.assertIn('Error from server (BadRequest): error when creating "STDIN": ConfigMap in version "v1" cannot be '
                      'handled as a ConfigMap: strict decoding error: unknown field "bogus"', error)
        out, warning = self.both("create", "-f", "-", "--validate=warn", input=json.dumps(body))
        self.assertEqual((out, warning), ("configmap/odd created\n", 'Warning: unknown field "bogus"\n'))
        body["metadata"]["name"] = "odder"
        self.assertEqual(self.both("create", "-f", "-", "--validate=ignore", input=json.dumps(body)),
                         ("configmap/odder created\n", ""))
        nested = self.deployment()
        nested["spec"]["replicsa"] = nested["spec"]["template"]["spec"]["x"] = 1
        self.assertIn('strict decoding error: unknown field "spec.replicsa", unknown field "spec.template.spec.x"',
                      self.fails("create", "-f", "-", input=json.dumps(nested)))

    def test_invalid_objects(self):
        body = self.deployment(replicas=-1)
        body["spec"]["template"]["spec"]["containers"][0]["name"] = "Bad Name"
        error = self.fails("create", "-f", "-", input=json.dumps(body))
        self.assertEqual(lines(error)[0], 'The Deployment "web" is invalid: ')
        self.assertIn("* spec.replicas: Invalid value: -1: must be greater than or equal to 0\n", error)
        self.assertIn('* spec.template.spec.containers[0].name: Invalid value: "Bad Name": ', error)
        error = self.fails("create", "-f", "-", input=json.dumps(self.config_map("Bad")))
        self.assertIn('The ConfigMap "Bad" is invalid: metadata.name: Invalid value: "Bad": a lowercase RFC 1123', error)
        self.assertIn('no matches for kind "Nope" in version "v1"',
                      self.fails("create", "-f", "-", input='{"apiVersion":"v1","kind":"Nope","metadata":{"name":"x"}}'))
