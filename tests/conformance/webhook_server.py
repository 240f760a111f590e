"""An admission webhook over TLS: answers with what a test's function says and remembers what it was asked."""
import base64
import http.server
import json
import pathlib
import ssl
import subprocess
import threading


def certificates(folder: pathlib.Path, names: list) -> tuple:
    """A CA and a server certificate for `names`: (CA in PEM, path of certificate, path of key)."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    san = ",".join(("IP:" if name[0].isdigit() else "DNS:") + name for name in names)
    (folder / "extensions").write_text(f"subjectAltName={san}\nbasicConstraints=CA:FALSE\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=webhook test CA",
            "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=webhook", "-keyout", "server.key", "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", "server.crt")
    return (folder / "ca.crt").read_bytes(), str(folder / "server.crt"), str(folder / "server.key")


class WebhookServer:
    """`routes[path]` gets the request of a review and gives the response without its uid."""

    def __init__(self, folder: str, names: list):
        self.ca_pem, certificate, key = certificates(pathlib.Path(folder), names)
        self.routes = {}
        self.asked = []  # (path, request)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                path = self.path.partition("?")[0]
                outer.asked.append((path, review["request"]))
                answer = outer.routes[path](review["request"])
                if isinstance(answer, tuple):
                    status, body = answer
                else:
                    answer.setdefault("uid", review["request"]["uid"])
                    status, body = 200, json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                                                    "response": answer})
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def ca_bundle(self) -> str:
        return base64.b64encode(self.ca_pem).decode()

    def by_url(self, path: str) -> dict:
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.ca_bundle()}

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def patch(*operations) -> dict:
    text = json.dumps(list(operations)).encode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(text).decode()}


def webhook(name: str, client: dict, rules=None, **more) -> dict:
    rule = {"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    return {"name": name, "clientConfig": client, "rules": rules or [rule], "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "timeoutSeconds": 5, **more}
