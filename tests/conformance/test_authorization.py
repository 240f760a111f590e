"""kubectl 1.35, unchanged: users and rights (auth can-i, whoami, reconcile, impersonation), tokens, certificates."""
import base64
import http.client
import json
import os
import ssl
import subprocess
import tempfile
import time

from harness.case import ClusterCase, eventually


class Authorization(ClusterCase):
    with_node = False

    def kubectl(self, *args, **kwargs):
        return self.daemon.kubectl("-n", self.ns, *args, **kwargs)

    def as_user(self, user: str, *args, **kwargs):
        return self.kubectl(f"--as={user}", *args, check=False, **kwargs)

    def test_whoami(self):
        user = json.loads(self.kubectl("auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
        self.assertEqual(user["username"], "admin")
        self.assertEqual(user["groups"], ["system:masters", "system:authenticated"])
        self.assertTrue(user["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256="))
        shown = self.kubectl("auth", "whoami").stdout
        self.assertIn("Username", shown)

    def test_can_i(self):
        self.assertEqual(self.kubectl("auth", "can-i", "create", "pods").stdout, "yes\n")
        self.assertEqual(self.as_user("jo", "auth", "can-i", "create", "pods").stdout, "no\n")
        self.kubectl("create", "rolebinding", "jo", "--clusterrole=view", "--user=jo")
        self.assertEqual(self.as_user("jo", "auth", "can-i", "list", "pods").stdout, "yes\n")
        self.assertEqual(self.as_user("jo", "auth", "can-i", "get", "pods", "--subresource=log").stdout, "yes\n")
        self.assertEqual(self.as_user("jo", "auth", "can-i", "get", "secrets").stdout, "no\n")
        self.assertEqual(self.as_user("jo", "auth", "can-i", "get", "/version").stdout, "yes\n")
        table = self.as_user("jo", "auth", "can-i", "--list").stdout
        self.assertRegex(table, r"(?m)^configmaps .*\[get list watch\]")
        self.assertRegex(table, r"(?m)^selfsubjectreviews\.authentication\.k8s\.io .*\[create\]")
        everything = self.kubectl("auth", "can-i", "--list").stdout
        self.assertRegex(everything, r"(?m)^\*\.\* +\[\] +\[\] +\[\*\]")

    def test_roles_by_name_and_refusals(self):
        self.kubectl("create", "configmap", "mine", "--from-literal=a=b")
        self.kubectl("create", "configmap", "other", "--from-literal=a=b")
        self.kubectl("create", "role", "one", "--verb=get,watch,list", "--resource=configmaps", "--resource-name=mine")
        self.kubectl("create", "rolebinding", "one", "--role=one", "--user=jo")
        self.assertEqual(self.as_user("jo", "get", "configmap", "mine", "-o", "jsonpath={.data.a}").stdout, "b")
        refused = self.as_user("jo", "get", "configmap", "other")
        self.assertEqual(refused.stderr,
                         'Error from server (Forbidden): configmaps "other" is forbidden: User "jo" cannot get resource '
                         f'"configmaps" in API group "" in the namespace "{self.ns}"\n')
        self.assertIn("is forbidden", self.as_user("jo", "get", "configmaps").stderr)
        named = self.as_user("jo", "get", "configmaps", "--field-selector=metadata.name=mine", "-o", "name")
        self.assertEqual(named.stdout, "configmap/mine\n", named.stderr)

    def test_impersonation_needs_a_right(self):
        refused = self.as_user("jo", "get", "pods", "--as-group=system:masters")
        self.assertEqual(refused.returncode, 0, "an admin may act as anybody: " + refused.stderr)
        self.kubectl("create", "serviceaccount", "bot")
        token = self.kubectl("create", "token", "bot").stdout.strip()
        refused = self.with_token(token, "get", "pods", "--as=admin")
        self.assertIn(f'users "admin" is forbidden: User "system:serviceaccount:{self.ns}:bot" cannot impersonate '
                      'resource "users" in API group "" at the cluster scope', refused.stderr)

    def with_token(self, token: str, *args):
        return self.daemon.kubectl("--kubeconfig=/dev/null", f"--server=https://127.0.0.1:{self.daemon.port}",
                                   "--insecure-skip-tls-verify", f"--token={token}", "-n", self.ns, *args, check=False)

    def test_create_token(self):
        self.kubectl("create", "serviceaccount", "bot")
        token = self.kubectl("create", "token", "bot", "--duration=20m", "--audience=https://x").stdout.strip()
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self.assertEqual(claims["aud"], ["https://x"])
        self.assertEqual(claims["exp"] - claims["iat"], 1200)
        self.assertEqual(claims["sub"], f"system:serviceaccount:{self.ns}:bot")
        self.assertIn("You must be logged in to the server", self.with_token(token, "get", "pods").stderr)
        good = self.kubectl("create", "token", "bot").stdout.strip()
        self.assertIn("cannot list resource", self.with_token(good, "get", "pods").stderr)
        self.kubectl("create", "rolebinding", "bot", "--clusterrole=edit", f"--serviceaccount={self.ns}:bot")
        self.assertEqual(self.with_token(good, "create", "configmap", "made").returncode, 0)
        self.kubectl("delete", "serviceaccount", "bot")
        self.assertIn("Unauthorized", self.with_token(good, "get", "pods").stderr)
        self.assertIn('serviceaccounts "none" not found', self.kubectl("create", "token", "none", check=False).stderr)

    def test_a_secret_with_a_token(self):
        self.kubectl("create", "serviceaccount", "bot")
        self.kubectl("apply", "-f", "-", input=json.dumps(
            {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
             "metadata": {"name": "bot-token", "annotations": {"kubernetes.io/service-account.name": "bot"}}}))

        def data():
            return json.loads(self.kubectl("get", "secret", "bot-token", "-o", "json").stdout).get("data", {})
        self.assertTrue(eventually(lambda: "token" in data(), 10))
        token = base64.b64decode(data()["token"]).decode()
        self.assertEqual(base64.b64decode(data()["namespace"]).decode(), self.ns)
        self.assertIn(f"system:serviceaccount:{self.ns}:bot", self.with_token(token, "auth", "whoami").stdout)
        self.kubectl("delete", "secret", "bot-token")
        self.assertIn("Unauthorized", self.with_token(token, "auth", "whoami").stderr)

    def test_escalation_is_refused(self):
        self.kubectl("create", "rolebinding", "jo", "--clusterrole=admin", "--user=jo")
        refused = self.as_user("jo", "create", "rolebinding", "all", "--clusterrole=cluster-admin", "--user=jo")
        self.assertIn('is forbidden: user "jo" (groups=["system:authenticated"]) is attempting to grant RBAC permissions '
                      "not currently held:", refused.stderr)
        self.assertIn('{APIGroups:["*"], Resources:["*"], Verbs:["*"]}', refused.stderr)
        self.assertEqual(self.as_user("jo", "create", "role", "r", "--verb=get", "--resource=pods").returncode, 0)
        more = self.as_user("jo", "create", "role", "s", "--verb=delete", "--resource=nodes")
        self.assertIn('{APIGroups:[""], Resources:["nodes"], Verbs:["delete"]}', more.stderr)

    def test_reconcile(self):
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r", "namespace": self.ns},
             "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
             "metadata": {"name": "r", "namespace": self.ns},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
             "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jo"}]}]})
        first = self.kubectl("auth", "reconcile", "-f", "-", input=manifest).stdout
        self.assertIn("reconciled", first)
        self.assertEqual(self.as_user("jo", "auth", "can-i", "get", "pods").stdout, "yes\n")
        self.kubectl("auth", "reconcile", "-f", "-", input=manifest)

    def test_aggregation(self):
        label = "rbac.authorization.k8s.io/aggregate-to-view=true"
        self.kubectl("create", "clusterrole", f"{self.ns}-more", "--verb=get,list", "--resource=secrets")
        self.addCleanup(self.kubectl, "delete", "clusterrole", f"{self.ns}-more")
        self.kubectl("create", "rolebinding", "jo", "--clusterrole=view", "--user=jo")
        self.assertEqual(self.as_user("jo", "auth", "can-i", "list", "secrets").stdout, "no\n")
        self.kubectl("label", "clusterrole", f"{self.ns}-more", label)
        self.assertTrue(eventually(lambda: self.as_user("jo", "auth", "can-i", "list", "secrets").stdout == "yes\n", 10))

    def test_default_roles_come_back(self):
        roles = self.kubectl("get", "clusterroles", "-o", "name").stdout
        for name in ("cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user",
                     "system:public-info-viewer", "system:node", "system:kube-scheduler"):
            self.assertIn(f"clusterrole.rbac.authorization.k8s.io/{name}\n", roles)
        self.kubectl("delete", "clusterrolebinding", "system:basic-user")
        self.daemon.terminate()
        self.daemon.start()
        self.assertIn("system:basic-user", self.kubectl("get", "clusterrolebindings", "-o", "name").stdout)

    def certificate_request(self, name: str, subject: str, signer: str, usages, **spec) -> tuple:
        folder = tempfile.mkdtemp(dir=self.daemon.folder)
        key, csr = os.path.join(folder, "key"), os.path.join(folder, "csr")
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", csr, "-subj", subject], check=True, capture_output=True)
        with open(csr, "rb") as made:
            request = base64.b64encode(made.read()).decode()
        self.addCleanup(self.kubectl, "delete", "csr", name, check=False)
        return key, {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
                     "spec": {"request": request, "signerName": signer, "usages": usages, **spec}}

    def test_certificates(self):
        name = f"{self.ns}-jo"
        key, body = self.certificate_request(name, "/O=dev/CN=jo", "kubernetes.io/kube-apiserver-client",
                                             ["client auth"], expirationSeconds=3600)
        self.kubectl("create", "-f", "-", input=json.dumps(body))
        shown = self.kubectl("get", "csr", name).stdout
        self.assertRegex(shown, r"kubernetes.io/kube-apiserver-client +admin +60m +Pending")
        self.kubectl("certificate", "approve", name)

        def issued():
            return json.loads(self.kubectl("get", "csr", name, "-o", "json").stdout)["status"].get("certificate")
        self.assertTrue(eventually(lambda: bool(issued()), 10))
        self.assertIn("Approved,Issued", self.kubectl("get", "csr", name).stdout)
        path = key + ".crt"
        with open(path, "wb") as out:
            out.write(base64.b64decode(issued()))
        text = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-ext", "extendedKeyUsage", "-checkend", "4000"],
                              capture_output=True, text=True).stdout
        self.assertIn("TLS Web Client Authentication", text)
        self.assertIn("Certificate will expire", text)
        who = self.daemon.kubectl("--kubeconfig=/dev/null", f"--server=https://127.0.0.1:{self.daemon.port}",
                                  "--insecure-skip-tls-verify", f"--client-certificate={path}", f"--client-key={key}",
                                  "auth", "whoami", "-o", "json").stdout
        self.assertEqual(json.loads(who)["status"]["userInfo"]["username"], "jo")
        self.assertEqual(json.loads(who)["status"]["userInfo"]["groups"], ["dev", "system:authenticated"])

    def test_certificates_that_are_refused(self):
        _, masters = self.certificate_request(f"{self.ns}-m", "/O=system:masters/CN=x",
                                              "kubernetes.io/kube-apiserver-client", ["client auth"])
        refused = self.kubectl("create", "-f", "-", input=json.dumps(masters), check=False)
        self.assertIn("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
                      refused.stderr)
        name = f"{self.ns}-d"
        _, denied = self.certificate_request(name, "/CN=x", "kubernetes.io/kube-apiserver-client", ["client auth"])
        self.kubectl("create", "-f", "-", input=json.dumps(denied))
        self.kubectl("certificate", "deny", name)
        self.assertIn("Denied", self.kubectl("get", "csr", name).stdout)
        wrong = f"{self.ns}-w"
        _, serving = self.certificate_request(wrong, "/CN=x", "kubernetes.io/kubelet-serving", ["server auth"])
        self.kubectl("create", "-f", "-", input=json.dumps(serving))
        self.kubectl("certificate", "approve", wrong)
        self.assertTrue(eventually(lambda: "Approved,Failed" in self.kubectl("get", "csr", wrong).stdout, 10))
        self.kubectl("create", "clusterrole", f"{self.ns}-c", "--verb=get,list,update", "--resource=certificatesigningrequests,"
                     "certificatesigningrequests/approval")
        self.addCleanup(self.kubectl, "delete", "clusterrole", f"{self.ns}-c")
        self.kubectl("create", "clusterrolebinding", f"{self.ns}-c", f"--clusterrole={self.ns}-c", "--user=jo")
        self.addCleanup(self.kubectl, "delete", "clusterrolebinding", f"{self.ns}-c")
        late = f"{self.ns}-l"
        _, body = self.certificate_request(late, "/CN=x", "kubernetes.io/kube-apiserver-client", ["client auth"])
        self.kubectl("create", "-f", "-", input=json.dumps(body))
        approval = self.as_user("jo", "certificate", "approve", late)
        self.assertIn('user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"',
                      approval.stderr)

    def test_anonymous(self):
        def anonymous(path: str) -> tuple:
            connection = http.client.HTTPSConnection("127.0.0.1", self.daemon.port, timeout=10,
                                                     context=ssl._create_unverified_context())
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()
        self.assertEqual(anonymous("/livez"), (200, "ok"))
        self.assertEqual(anonymous("/version")[0], 200)
        for path in ("/apis", "/metrics"):
            status, body = anonymous(path)
            self.assertEqual(status, 403)
            self.assertEqual(json.loads(body)["message"],
                             f'forbidden: User "system:anonymous" cannot get path "{path}"')

    def test_openid_documents(self):
        document = json.loads(self.kubectl("get", "--raw", "/.well-known/openid-configuration").stdout)
        self.assertEqual(document["issuer"], "https://kubernetes.default.svc.cluster.local")
        keys = json.loads(self.kubectl("get", "--raw", "/openid/v1/jwks").stdout)["keys"]
        self.assertEqual(keys[0]["alg"], "ES256")

    def test_decisions_do_not_slow_requests(self):
        started = time.monotonic()
        for _ in range(50):
            self.api.list("configmaps", self.ns)
        self.note("50 lists:", round(time.monotonic() - started, 3), "s")
