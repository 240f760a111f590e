"""The measurements of mothd itself: every function fills rows of the table."""
import json
import os
import selectors
import shutil
import statistics
import subprocess
import tempfile
import time

from harness import tools
from harness.api import STRATEGIC, path_of, pod_ready
from harness.case import eventually, http
from harness.daemon import Daemon
from harness.load import Load
from table import output, pss_kb

TOKEN = "bench-token"


class Running:
    """A daemon for one measurement, with a token for clients that cannot do certificates."""

    def __init__(self, bin_dir: str, with_node: bool = True):
        self.daemon = Daemon(bin_dir, with_node)
        self.tokens = self.daemon.folder + "/tokens"
        with open(self.tokens, "w", encoding="ascii") as out:
            out.write(f'{TOKEN},bench,1,"system:masters"\n')
        os.chmod(self.tokens, 0o600)
        self.daemon.extra_args += ["--token-auth-file", self.tokens]

    def __enter__(self) -> Daemon:
        self.daemon.start()
        if self.daemon.with_node:
            self.daemon.load_image()
        self.daemon.api.wait("serviceaccounts", "default", "default", bool, 10)
        return self.daemon

    def __exit__(self, *_):
        self.daemon.destroy()


def percentile(values: list, share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def deployment(name: str, replicas: int, container: dict = None, grace: int = 0) -> dict:
    return {"metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "terminationGracePeriodSeconds": grace,
            "containers": [{"name": "main", "image": tools.IMAGE, **(container or {})}]}}}}


SLEEP = {"command": ["/bin/sleep", "1000000"]}
WEB = {"ports": [{"name": "http", "containerPort": 8080}],
       "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1}}


def wait_rolled_out(daemon: Daemon, name: str, timeout: float = 120) -> None:
    def done(item):
        status, wanted = item.get("status", {}), item["spec"]["replicas"]
        return (status.get("observedGeneration", 0) >= item["metadata"]["generation"]
                and status.get("replicas", 0) == status.get("updatedReplicas", 0) == wanted
                and status.get("availableReplicas", 0) == wanted)
    daemon.api.wait("deployments", "default", name, done, timeout, "rolled out")


def first_answer(url: str) -> None:
    def answer():
        try:
            return http(url)
        except OSError:
            return ""
    if not eventually(answer, 10):
        raise RuntimeError(f"{url} does not answer")


def start(table, bin_dir: str):
    """time from exec to a green /readyz"""
    first, again = [], []
    for _ in range(3 if table.quick else 7):
        daemon = Daemon(bin_dir)
        try:
            first.append(daemon.start() * 1000)
            for _ in range(2):
                daemon.terminate()
                again.append(daemon.start() * 1000)
        finally:
            daemon.destroy()
    table.set("first_start", statistics.median(first))
    table.set("restart", statistics.median(again))
    alone = []
    for _ in range(3 if table.quick else 7):
        daemon = Daemon(bin_dir, with_node=False)
        try:
            alone.append(daemon.start() * 1000)
        finally:
            daemon.destroy()
    table.set("start_alone", statistics.median(alone))


def footprint(table, bin_dir: str):
    """memory, CPU and disk when nothing happens; scaling to 100 pods on the way"""
    with Running(bin_dir) as daemon:
        pid = daemon.process.pid
        time.sleep(3)
        table.set("pss_empty", pss_kb(pid) / 1000)
        daemon.api.create("deployments", "default", deployment("many", 50, SLEEP))
        wait_rolled_out(daemon, "many")
        time.sleep(10)  # lazy writes and the last status updates settle
        seconds = 15 if table.quick else 60
        before = usage(pid)
        time.sleep(seconds)
        after = usage(pid)
        table.set("cpu_idle", (after["cpu"] - before["cpu"]) / seconds * 100, f"over {seconds} s")
        table.set("disk_idle", (after["written"] - before["written"]) * 3600 / seconds, f"over {seconds} s")
        daemon.api.patch("deployments", "default", "many", {"spec": {"replicas": 100}})
        wait_rolled_out(daemon, "many")
        time.sleep(5)
        table.set("pss_100", pss_kb(pid) / 1000)
        shims = [pss_kb(shim) for shim, command in daemon.footprint.processes() if "moth-shim" in command]
        table.set("pss_shim", statistics.mean(shims) / 1000, f"mean of {len(shims)}")


def usage(pid: int) -> dict:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/io", encoding="ascii") as io:
        written = next(int(line.split()[1]) for line in io if line.startswith("write_bytes"))
    return {"cpu": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), "written": written}


def pods(table, bin_dir: str):
    """one pod from POST to phase Running, as a watch sees it"""
    times = []
    with Running(bin_dir) as daemon:
        for number in range(20 if table.quick else 100):
            revision = daemon.api.list_with_revision("pods", "default")[1]
            deadline = time.monotonic() + 20
            watch = daemon.api.watch("pods", "default", revision, deadline)
            body = {"metadata": {"name": f"p{number}"}, "spec": {
                "terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": tools.IMAGE, **SLEEP}]}}
            began = time.monotonic()
            daemon.api.create("pods", "default", body)
            for _, pod in watch:
                if pod["metadata"]["name"] == f"p{number}" and pod_ready(pod):
                    times.append((time.monotonic() - began) * 1000)
                    break
            watch.close()
            daemon.api.delete("pods", "default", f"p{number}")
    table.set("pod_p50", percentile(times, 0.5), f"Ready, of {len(times)}")
    table.set("pod_p99", percentile(times, 0.99), f"Ready, of {len(times)}")


def scale(table, bin_dir: str):
    """a deployment from 0 to 100 ready replicas"""
    times = []
    with Running(bin_dir) as daemon:
        daemon.api.create("deployments", "default", deployment("many", 0, SLEEP))
        for _ in range(1 if table.quick else 3):
            began = time.monotonic()
            daemon.api.patch("deployments", "default", "many", {"spec": {"replicas": 100}}, sub="scale")
            wait_rolled_out(daemon, "many")
            times.append(time.monotonic() - began)
            daemon.api.patch("deployments", "default", "many", {"spec": {"replicas": 0}}, sub="scale")
            daemon.api.wait_list("pods", "default", lambda items: not items, 60, what="gone")
    table.set("scale_100", statistics.median(times))


CREATE = """
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
function init() count = 0 end
function request()
  count = count + 1
  return wrk.format("POST", "%(path)s", {["Authorization"] = "Bearer %(token)s", ["Content-Type"] = "application/json"},
    '{"metadata": {"name": "%(prefix)s' .. id .. '-' .. count .. '"}, %(rest)s}')
end
function done(s, l, r)
  io.write(string.format('RESULT {"requests": %%d, "seconds": %%f, "status": %%d, "p99_ms": %%f}\\n', s.requests,
    s.duration / 1e6, s.errors.status + s.errors.read + s.errors.write, l:percentile(99) / 1e3))
end
"""
GET = """
wrk.headers["Authorization"] = "Bearer %(token)s"
function done(s, l, r)
  io.write(string.format('RESULT {"requests": %%d, "seconds": %%f, "status": %%d, "p99_ms": %%f}\\n', s.requests,
    s.duration / 1e6, s.errors.status + s.errors.read + s.errors.write, l:percentile(99) / 1e3))
end
"""


def wrk(daemon: Daemon, script: str, path: str, seconds: float, connections: int = 64) -> dict:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        text = output("wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", file.name,
                      f"https://127.0.0.1:{daemon.port}{path}")
    result = json.loads(next(line for line in text.splitlines() if line.startswith("RESULT"))[7:])
    result["rate"] = result["requests"] / result["seconds"]
    return result


def api(table, bin_dir: str):
    """a full API server: 10,000 pods stored, 1,000 watchers; memory of both, then every sort of request"""
    with Running(bin_dir, with_node=False) as daemon:
        pid = daemon.process.pid
        time.sleep(3)
        empty = pss_kb(pid)
        count = store_pods(daemon)
        table.set("pss_pod", (settled_pss_kb(pid) - empty) / count, f"of {count:,}; {size_of_a_pod(daemon):.1f} KB as JSON")
        times = []
        for _ in range(7):
            began = time.monotonic()
            _, _, data = daemon.api.raw("GET", path_of("pods", "default"), timeout=60)
            times.append((time.monotonic() - began) * 1000 * PODS / count)
        table.set("list_10000", statistics.median(times),
                  f"{len(data) / 1e6 * PODS / count:.0f} MB of JSON; the client's reading included")
        del data
        before = settled_pss_kb(pid)
        daemon.api.create("namespaces", "", {"metadata": {"name": "watched"}})
        watchers = Watchers(daemon)
        try:
            table.set("pss_watcher", (settled_pss_kb(pid) - before) / WATCHERS, "TLS connection included")
            table.set("fan_out", statistics.median(watchers.latency(str(n)) for n in range(3 if table.quick else 7)),
                      "one Python thread reads all of them")
            requests(table, daemon)
        finally:
            watchers.close()


PODS, WATCHERS = 10_000, 1_000


def store_pods(daemon: Daemon) -> int:
    """Without a node the pods stay Pending. Answers how many there are, at least PODS."""
    rest = json.dumps({"spec": {"containers": [{"name": "main", "image": tools.IMAGE, "env": [
        {"name": "A", "value": "B"}], "ports": [{"containerPort": 80}]}]}})[1:-1]
    path = path_of("pods", "default")
    script = CREATE % {"path": path, "token": TOKEN, "prefix": "p", "rest": rest}
    number = 0
    while count_of(daemon, path) < PODS:
        number += 1
        wrk(daemon, script.replace('"name": "p', f'"name": "p{number}x'), path, 1)
    return count_of(daemon, path)


def size_of_a_pod(daemon: Daemon) -> float:
    return len(json.dumps(daemon.api.call("GET", path_of("pods", "default") + "?limit=1")["items"][0])) / 1000


def settled_pss_kb(pid: int) -> int:
    """Memory when nothing has changed it for a while: the scheduler's and the lazy work is over, the heap trimmed."""
    last, same = pss_kb(pid), time.monotonic()
    deadline = same + 90
    while time.monotonic() < min(deadline, same + 15):
        time.sleep(1)
        now = pss_kb(pid)
        if abs(now - last) > 500:
            last, same = now, time.monotonic()
    return last


def requests(table, daemon: Daemon):
    seconds = 3 if table.quick else 6
    path = path_of("configmaps", "default")
    created = wrk(daemon, CREATE % {"path": path, "token": TOKEN, "prefix": "c", "rest": '"data": {"a": "b"}'},
                  path, seconds)
    failed = f", {created['status']} failed" if created["status"] else ""
    table.set("creates", created["rate"], f"p99 {created['p99_ms']:.0f} ms{failed}; wrk shares the cores")
    got = wrk(daemon, GET % {"token": TOKEN}, path + "/c0-1", seconds)
    table.set("gets", got["rate"], f"p99 {got['p99_ms']:.0f} ms; wrk shares the cores")


def count_of(daemon: Daemon, path: str) -> int:
    answer = daemon.api.call("GET", path + "?limit=1")
    return len(answer["items"]) + answer["metadata"].get("remainingItemCount", 0)


class Watchers:
    """WATCHERS watches of one namespace's ConfigMaps, each over a TLS connection of its own."""

    def __init__(self, daemon: Daemon):
        self.api = daemon.api
        self.api.create("configmaps", "watched", {"metadata": {"name": "seen"}})
        revision = self.api.list_with_revision("configmaps", "watched")[1]
        self.connections, self.selector = [], selectors.DefaultSelector()
        for _ in range(WATCHERS):
            connection = self.api.connect(30)
            connection.request("GET", path_of("configmaps", "watched") + f"?watch=1&resourceVersion={revision}")
            response = connection.getresponse()
            connection.sock.setblocking(False)
            self.connections.append((connection, response))
            self.selector.register(connection.sock, selectors.EVENT_READ, connection.sock)

    def latency(self, value: str) -> float:
        """Milliseconds from the start of a PATCH to its event at 99 % of the watchers."""
        arrived, began = {}, time.monotonic()
        self.api.patch("configmaps", "watched", "seen", {"data": {"n": value}})
        while len(arrived) < WATCHERS and time.monotonic() < began + 10:
            for key, _ in self.selector.select(5):
                try:
                    if key.data.recv(65536):
                        arrived.setdefault(key.fd, (time.monotonic() - began) * 1000)
                except OSError:
                    pass
        return percentile(list(arrived.values()), 0.99)

    def close(self) -> None:
        self.selector.close()
        for connection, _ in self.connections:
            connection.close()


def pods_of(daemon: Daemon, app: str) -> list:
    return [pod for pod in daemon.api.list("pods", "default") if pod["metadata"]["labels"].get("app") == app]


def services(table, bin_dir: str):
    """requests through the service against requests to the pod, a new connection each

    Each way has a client pod of its own. From one address both ways would meet in connection tracking: a translated
    connection whose reply looks like one of a direct connection that just ended gets another source port, which the
    backend may still hold in TIME_WAIT, and then the SYN is sent again after a second.
    """
    with Running(bin_dir) as daemon:
        service = daemon.api.create("services", "default", {"metadata": {"name": "web"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}})
        through = f"http://{service['spec']['clusterIP']}/"
        daemon.api.create("deployments", "default", deployment("web", 1, WEB))
        daemon.api.create("deployments", "default", deployment("client", 2, SLEEP))
        wait_rolled_out(daemon, "client")
        clients = [f"{daemon.run_dir}/netns/{pod['metadata']['uid']}" for pod in pods_of(daemon, "client")]
        for count, name in ((1, "service_1"), (100, "service_100")):
            daemon.api.patch("deployments", "default", "web", {"spec": {"replicas": count}})
            wait_rolled_out(daemon, "web")
            time.sleep(1)
            address = pods_of(daemon, "web")[0]["status"]["podIP"]
            direct = f"http://{address}:8080/"
            first_answer(through), first_answer(direct)
            pairs, rates = [], []
            for _ in range(3 if table.quick else 7):
                rate = [Load(url, 2, connections=16, netns=client).result()
                        for url, client in zip((direct, through), clients)]
                pairs.append(rate[1]["requests"] / rate[0]["requests"])
                rates.append(rate[1]["requests"] / rate[1]["seconds"])
            table.set(name, statistics.median(pairs), f"{statistics.median(rates):,.0f} requests/s")


def under_load(table, bin_dir: str):
    """rolling updates and kill -9 while wrk asks, a new connection for each request"""
    with Running(bin_dir) as daemon:
        service = daemon.api.create("services", "default", {"metadata": {"name": "web"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}})
        daemon.api.create("deployments", "default", deployment("web", 2, WEB, grace=10))
        wait_rolled_out(daemon, "web")
        url = f"http://{service['spec']['clusterIP']}/"
        first_answer(url)
        seconds = 10 if table.quick else 25
        load = Load(url, seconds)
        began, rolls = time.monotonic(), 0
        while time.monotonic() < began + seconds - 3:
            rolls += 1
            daemon.api.patch("deployments", "default", "web", {"spec": {"template": {"spec": {"containers": [
                {"name": "main", "env": [{"name": "VERSION", "value": str(rolls)}]}]}}}}, STRATEGIC)
            wait_rolled_out(daemon, "web")
        result = load.result()
        table.set("roll_failed", result["failed"], f"of {result['requests']:,}, {rolls} rollouts")
        load, times = Load(url, 12), []
        for _ in range(5):
            time.sleep(1)
            daemon.kill9()
            times.append(daemon.start() * 1000)
        result = load.result()
        table.set("kill_failed", result["failed"], f"of {result['requests']:,}, {len(times)} kills")
        table.set("take_over", statistics.median(times))
        table.set("kill_restarts", sum(status["restartCount"] for pod in daemon.api.list("pods", "default")
                                       for status in pod["status"]["containerStatuses"]))


def binary(table, bin_dir: str):
    """size of the stripped daemon"""
    with tempfile.TemporaryDirectory() as folder:
        copy = folder + "/mothd"
        shutil.copy(bin_dir + "/mothd", copy)
        subprocess.run(["strip", copy], check=True)
        table.set("binary", os.path.getsize(copy) / 1e6)


STEPS = [binary, start, footprint, pods, scale, api, services, under_load]
