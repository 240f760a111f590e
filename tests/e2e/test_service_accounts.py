"""Tokens in pods: the mounted volume, the API from inside, rotation, and the end of a token with its pod."""
import base64
import json
import os

from harness import tools
from harness.case import ClusterCase, eventually

TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"


def claims(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


class ServiceAccounts(ClusterCase):
    """kubectl of the tests, mounted into pods, finds the API by its in-cluster configuration."""

    def setUp(self):
        super().setUp()
        self.api.create("serviceaccounts", self.ns, {"metadata": {"name": "bot"}})

    def make_client(self, name: str = "client", **spec) -> None:
        folder = os.path.dirname(tools.kubectl())
        self.run_pod(name, "exec sleep 1000", serviceAccountName="bot",
                     volumes=[{"name": "k", "hostPath": {"path": folder, "type": "Directory"}}],
                     container={"volumeMounts": [{"name": "k", "mountPath": "/k", "readOnly": True}],
                                "env": [{"name": "HOME", "value": "/tmp"}]}, **spec)

    def bind(self, role: str) -> None:
        self.daemon.kubectl("create", "rolebinding", role, f"--clusterrole={role}",
                            f"--serviceaccount={self.ns}:bot", "-n", self.ns)

    def test_a_pod_lists_pods_once_it_may(self):
        self.make_client()
        refused = self.exec("client", "/k/kubectl", "get", "pods", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(f'pods is forbidden: User "system:serviceaccount:{self.ns}:bot" cannot list resource "pods" in '
                      f'API group "" in the namespace "{self.ns}"', refused.stderr)
        self.bind("view")
        self.assertIn("client", self.exec("client", "/k/kubectl", "get", "pods").stdout)
        who = self.exec("client", "/k/kubectl", "auth", "whoami", "-o", "json").stdout
        user = json.loads(who)["status"]["userInfo"]
        self.assertEqual(user["extra"]["authentication.kubernetes.io/pod-name"], ["client"])
        by_name = self.exec("client", "sh", "-c", f"/k/kubectl --token=$(cat {TOKEN_FOLDER}/token) "
                            f"--certificate-authority={TOKEN_FOLDER}/ca.crt --server=https://kubernetes.default.svc "
                            f"get pods -n {self.ns}", check=False)
        self.assertEqual(by_name.returncode, 0, by_name.stderr)
        secrets = self.exec("client", "/k/kubectl", "get", "secrets", check=False)
        self.assertIn("is forbidden", secrets.stderr)

    def test_the_mounted_files(self):
        self.run_pod("files", "exec sleep 1000", serviceAccountName="bot")
        self.assertEqual(self.exec("files", "cat", f"{TOKEN_FOLDER}/namespace").stdout, self.ns)
        ca = self.api.get("configmaps", self.ns, "kube-root-ca.crt")["data"]["ca.crt"]
        self.assertEqual(self.exec("files", "cat", f"{TOKEN_FOLDER}/ca.crt").stdout, ca)
        token = claims(self.exec("files", "cat", f"{TOKEN_FOLDER}/token").stdout)
        own = token["kubernetes.io"]
        pod = self.api.get("pods", self.ns, "files")
        self.assertEqual(own["pod"], {"name": "files", "uid": pod["metadata"]["uid"]})
        self.assertEqual(own["node"]["name"], "moth-test")
        self.assertEqual(own["warnafter"] - token["iat"], 3607)
        self.assertEqual(token["exp"] - token["iat"], 365 * 24 * 3600)
        written = self.exec("files", "sh", "-c", f"echo x >{TOKEN_FOLDER}/token", check=False)
        self.assertNotEqual(written.returncode, 0)

    def test_no_token_where_none_is_wanted(self):
        self.run_pod("bare", "exec sleep 1000", serviceAccountName="bot", automountServiceAccountToken=False)
        self.assertNotEqual(self.exec("bare", "test", "-e", TOKEN_FOLDER, check=False).returncode, 0)

    def test_a_projected_token_for_another_audience(self):
        projected = {"sources": [{"serviceAccountToken": {"audience": "vault", "expirationSeconds": 600,
                                                          "path": "t"}}]}
        self.run_pod("vault", "exec sleep 1000", serviceAccountName="bot",
                     securityContext={"runAsUser": 1234},
                     volumes=[{"name": "t", "projected": projected}],
                     container={"volumeMounts": [{"name": "t", "mountPath": "/t"}]})
        token = self.exec("vault", "cat", "/t/t").stdout
        self.assertEqual(claims(token)["aud"], ["vault"])
        self.assertEqual(self.exec("vault", "stat", "-L", "-c", "%a %u", "/t/t").stdout.split(), ["600", "1234"])
        review = self.daemon.kubectl("create", "-o", "json", "--validate=false", "-f", "-", input=json.dumps(
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {"name": "x"},
             "spec": {"token": token, "audiences": ["vault"]}})).stdout
        self.assertTrue(json.loads(review)["status"]["authenticated"], review)

    def test_the_token_ends_with_the_pod(self):
        self.run_pod("brief", "exec sleep 1000", serviceAccountName="bot")
        token = self.exec("brief", "cat", f"{TOKEN_FOLDER}/token").stdout

        def who():
            return self.daemon.kubectl(
                "--kubeconfig=/dev/null", f"--server=https://127.0.0.1:{self.daemon.port}",
                "--insecure-skip-tls-verify", f"--token={token}", "auth", "whoami", check=False)
        self.assertEqual(who().returncode, 0, who().stderr)
        self.api.delete("pods", self.ns, "brief", grace=0)
        self.wait_gone("pods", "brief")
        self.assertIn("Unauthorized", who().stderr)

    def test_the_volume_lives_through_a_restart_of_the_daemon(self):
        self.make_client()
        self.bind("view")
        self.daemon.terminate()
        self.daemon.start()
        self.assertTrue(eventually(
            lambda: "client" in self.exec("client", "/k/kubectl", "get", "pods", check=False).stdout, 20))
