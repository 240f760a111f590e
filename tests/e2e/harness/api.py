"""A small client of the Kubernetes API over the standard library: enough for tests, watches included."""
import base64
import http.client
import json
import os
import re
import ssl
import tempfile
import time
import urllib.parse


class ApiError(Exception):
    def __init__(self, code: int, status):
        self.code = code
        self.status = status if isinstance(status, dict) else {"message": str(status)}
        super().__init__(f"{code} {self.status.get('reason', '')}: {self.status.get('message', '')}")

    @property
    def reason(self) -> str:
        return self.status.get("reason", "")

    @property
    def message(self) -> str:
        return self.status.get("message", "")

    @property
    def fields(self) -> list:
        return [cause.get("field") for cause in (self.status.get("details") or {}).get("causes", [])]


class WaitTimeout(AssertionError):
    pass


PATHS = {
    "pods": "/api/v1", "services": "/api/v1", "configmaps": "/api/v1", "secrets": "/api/v1",
    "events": "/api/v1", "endpoints": "/api/v1", "serviceaccounts": "/api/v1", "namespaces": "/api/v1",
    "nodes": "/api/v1", "deployments": "/apis/apps/v1", "replicasets": "/apis/apps/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2", "endpointslices": "/apis/discovery.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1", "limitranges": "/api/v1", "resourcequotas": "/api/v1",
}
CLUSTER_SCOPED = ("namespaces", "nodes")
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def path_of(resource: str, ns: str = "", name: str = "", sub: str = "") -> str:
    path = PATHS[resource]
    if ns and resource not in CLUSTER_SCOPED:
        path += f"/namespaces/{ns}"
    path += f"/{resource}"
    if name:
        path += f"/{name}"
    if sub:
        path += f"/{sub}"
    return path


class Api:
    """One connection, kept open; a watch has a connection of its own. Not for several threads."""

    def __init__(self, kubeconfig: str):
        text = open(kubeconfig, encoding="utf-8").read()
        url = urllib.parse.urlparse(re.search(r"server: (\S+)", text).group(1))
        self.host, self.port = url.hostname, url.port

        def data(field: str) -> bytes:
            return base64.b64decode(re.search(field + r": (\S+)", text).group(1))

        self.context = ssl.create_default_context(cadata=data("certificate-authority-data").decode())
        with tempfile.TemporaryDirectory() as folder:
            pem = os.path.join(folder, "client.pem")
            with open(pem, "wb") as out:
                out.write(data("client-certificate-data") + b"\n" + data("client-key-data"))
            self.context.load_cert_chain(pem)
        self.connection = None

    def connect(self, timeout: float = 30) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context)

    def raw(self, method: str, path: str, body=None, content_type="application/json", timeout: float = 30,
            headers=None) -> tuple:
        """(status, headers, bytes). A kept connection that the server closed is opened anew, once."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        all_headers = {"Content-Type": content_type} if body is not None else {}
        all_headers.update(headers or {})
        reused = self.connection is not None
        if not reused:
            self.connection = self.connect(timeout)
        try:
            self.connection.timeout = timeout
            if self.connection.sock:
                self.connection.sock.settimeout(timeout)
            self.connection.request(method, path, body, all_headers)
            response = self.connection.getresponse()
            data = response.read()
        except (http.client.HTTPException, OSError, ValueError):
            self.close()
            if not reused:
                raise
            return self.raw(method, path, body, content_type, timeout, headers)
        if response.will_close:
            self.close()
        return response.status, response.headers, data

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def call(self, method: str, path: str, body=None, content_type="application/json", timeout: float = 30):
        code, _, data = self.raw(method, path, body, content_type, timeout)
        try:
            value = json.loads(data) if data else None
        except ValueError:
            value = data.decode(errors="replace")
        if code >= 400:
            raise ApiError(code, value)
        return value

    def create(self, resource: str, ns: str, body: dict) -> dict:
        return self.call("POST", path_of(resource, ns), body)

    def get(self, resource: str, ns: str, name: str) -> dict:
        return self.call("GET", path_of(resource, ns, name))

    def find(self, resource: str, ns: str, name: str):
        try:
            return self.get(resource, ns, name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(self, resource: str, ns: str = "", selector: str = "", fields: str = "") -> list:
        return self.list_with_revision(resource, ns, selector, fields)[0]

    def list_with_revision(self, resource: str, ns: str = "", selector: str = "", fields: str = "") -> tuple:
        query = {key: value for key, value in (("labelSelector", selector), ("fieldSelector", fields)) if value}
        path = path_of(resource, ns) + ("?" + urllib.parse.urlencode(query) if query else "")
        answer = self.call("GET", path)
        return answer["items"], answer["metadata"]["resourceVersion"]

    def update(self, resource: str, ns: str, body: dict) -> dict:
        return self.call("PUT", path_of(resource, ns, body["metadata"]["name"]), body)

    def patch(self, resource: str, ns: str, name: str, body, kind: str = MERGE, sub: str = "") -> dict:
        return self.call("PATCH", path_of(resource, ns, name, sub), body, kind)

    def delete(self, resource: str, ns: str, name: str, grace=None) -> dict:
        body = {"gracePeriodSeconds": grace} if grace is not None else None
        return self.call("DELETE", path_of(resource, ns, name), body)

    def delete_if_there(self, resource: str, ns: str, name: str, grace=None) -> None:
        try:
            self.delete(resource, ns, name, grace)
        except ApiError as error:
            if error.code != 404:
                raise

    def log(self, ns: str, pod: str, **query) -> str:
        path = path_of("pods", ns, pod, "log") + ("?" + urllib.parse.urlencode(query) if query else "")
        code, _, data = self.raw("GET", path)
        if code >= 400:
            raise ApiError(code, json.loads(data))
        return data.decode(errors="replace")

    def watch(self, resource: str, ns: str, revision: str, deadline: float, fields: str = "", selector: str = ""):
        """Yields (type, object) until the deadline (monotonic) or until the server ends the watch."""
        query = {"watch": "1", "resourceVersion": revision}
        if fields:
            query["fieldSelector"] = fields
        if selector:
            query["labelSelector"] = selector
        connection = self.connect(max(0.1, deadline - time.monotonic()))
        try:
            connection.request("GET", path_of(resource, ns) + "?" + urllib.parse.urlencode(query))
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiError(response.status, json.loads(response.read()))
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                if connection.sock:
                    connection.sock.settimeout(left)
                try:
                    line = response.readline()
                except TimeoutError:
                    return
                if not line:
                    return
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), event["object"])
                yield event["type"], event["object"]
        finally:
            connection.close()

    def wait(self, resource: str, ns: str, name: str, condition, timeout: float = 30, what: str = ""):
        """Waits with a watch until condition(object or None) gives something true; returns the object."""
        deadline = time.monotonic() + timeout
        fields = f"metadata.name={name}"
        last = None
        while True:
            items, revision = self.list_with_revision(resource, ns, fields=fields)
            last = items[0] if items else None
            if condition(last):
                return last
            if time.monotonic() >= deadline:
                break
            try:
                for kind, item in self.watch(resource, ns, revision, deadline, fields=fields):
                    last = None if kind == "DELETED" else item
                    if condition(last):
                        return last
            except ApiError as error:
                if error.code != 410:
                    raise
        shown = json.dumps((last or {}).get("status"), indent=1)[:3000] if last else "the object is not there"
        raise WaitTimeout(f"{resource}/{name}: not {what or 'as wanted'} after {timeout} s; {shown}")

    def wait_list(self, resource: str, ns: str, condition, timeout: float = 30, selector: str = "",
                  what: str = "") -> list:
        """Waits with a watch until condition(list of objects) gives something true; returns the list."""
        deadline = time.monotonic() + timeout
        while True:
            items, revision = self.list_with_revision(resource, ns, selector)
            known = {item["metadata"]["uid"]: item for item in items}
            if condition(list(known.values())):
                return list(known.values())
            if time.monotonic() >= deadline:
                break
            try:
                for kind, item in self.watch(resource, ns, revision, deadline, selector=selector):
                    uid = item["metadata"]["uid"]
                    if kind == "DELETED":
                        known.pop(uid, None)
                    else:
                        known[uid] = item
                    if condition(list(known.values())):
                        return list(known.values())
            except ApiError as error:
                if error.code != 410:
                    raise
        names = [f"{item['metadata']['name']}: {json.dumps(item.get('status'))[:300]}" for item in known.values()]
        raise WaitTimeout(f"{resource}: not {what or 'as wanted'} after {timeout} s; {len(names)} there: "
                          + "; ".join(names[:5]))

    def image_job(self, action: str, body: dict, timeout: float = 300) -> dict:
        """POST /moth/v1/images/ACTION: a stream of JSON lines, the last with the result."""
        code, _, data = self.raw("POST", f"/moth/v1/images/{action}", body, timeout=timeout)
        lines = [json.loads(line) for line in data.decode().splitlines() if line.strip()]
        if code >= 400:
            raise ApiError(code, lines[0] if lines else None)
        last = lines[-1] if lines else {}
        if "error" in last:
            raise ApiError(last["error"].get("code", 500), last["error"])
        return last["result"]


def condition_is(item, kind: str, status: str = "True") -> bool:
    conditions = ((item or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] == kind and c["status"] == status for c in conditions)


def pod_ready(pod) -> bool:
    return condition_is(pod, "Ready")


def container_status(pod, name: str = "") -> dict:
    statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or []
    return next((s for s in statuses if not name or s["name"] == name), {})
