"""A pod's life: start, output, restarts, init containers, termination, limits."""
import json
import re
import subprocess
import time
import unittest

from harness import tools
from harness.case import ClusterCase, container_status, eventually


def state_of(pod, name="main"):
    return container_status(pod, name).get("state") or {}


class PodLife(ClusterCase):
    def test_runs_and_prints(self):
        pod = self.run_pod("hello", "echo hello from $HOSTNAME; exec sleep 1000")
        self.assertEqual(pod["status"]["phase"], "Running")
        self.assertEqual(pod["status"]["qosClass"], "BestEffort")
        self.assertRegex(pod["status"]["podIP"], r"^10\.90\.")
        status = container_status(pod)
        self.assertTrue(status["started"] and status["ready"])
        self.assertIn("running", status["state"])
        self.assertRegex(status["imageID"], "sha256:[0-9a-f]{64}")
        self.assertEqual(self.api.log(self.ns, "hello"), "hello from hello\n")
        reasons = [event["reason"] for event in self.events_of("hello")]
        for reason in ("Scheduled", "Pulled", "Created", "Started"):
            self.assertIn(reason, reasons)

    def test_succeeds_once_with_restart_policy_never(self):
        self.make_pod("once", "echo done; exit 0", restartPolicy="Never")
        pod = self.wait_phase("once", "Succeeded")
        end = state_of(pod)["terminated"]
        self.assertEqual((end["exitCode"], end["reason"]), (0, "Completed"))
        self.assertEqual(container_status(pod)["restartCount"], 0)

    def test_fails_with_its_exit_code_and_message(self):
        self.make_pod("fails", "echo the reason >/dev/termination-log; exit 7", restartPolicy="Never")
        pod = self.wait_phase("fails", "Failed")
        end = state_of(pod)["terminated"]
        self.assertEqual((end["exitCode"], end["reason"], end["message"]), (7, "Error", "the reason\n"))

    def test_restarts_at_once_then_backs_off(self):
        self.make_pod("crash", "echo run; exit 3")
        pod = self.wait_pod("crash", lambda p: p and state_of(p).get("waiting", {}).get("reason")
                            == "CrashLoopBackOff", 30, "backing off")
        status = container_status(pod)
        self.assertGreaterEqual(status["restartCount"], 1)
        self.assertIn("back-off 10s restarting failed container=main", status["state"]["waiting"]["message"])
        self.assertEqual(status["lastState"]["terminated"]["exitCode"], 3)
        self.wait_event("crash", "BackOff", text="Back-off restarting failed container main in pod crash_")
        self.assertIn("run", self.api.log(self.ns, "crash", previous="true"))

    def test_restart_policy_on_failure_stops_after_success(self):
        self.make_pod("retry", "if [ -e /data/again ]; then exit 0; fi; touch /data/again; exit 1",
                      restartPolicy="OnFailure", volumes=[{"name": "data", "emptyDir": {}}],
                      container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]})
        pod = self.wait_phase("retry", "Succeeded")
        self.assertEqual(container_status(pod)["restartCount"], 1)

    def test_init_containers_run_in_order_before_the_others(self):
        mount = [{"name": "data", "mountPath": "/data"}]

        def init(name):
            return {"name": name, "image": tools.IMAGE, "volumeMounts": mount,
                    "command": ["/bin/sh", "-c", f"echo {name} >>/data/order"]}
        text = self.output_of("ordered", "cat /data/order; echo main", volumes=[{"name": "data", "emptyDir": {}}],
                              initContainers=[init("first"), init("second")], container={"volumeMounts": mount})
        self.assertEqual(text, "first\nsecond\nmain\n")
        pod = self.api.get("pods", self.ns, "ordered")
        codes = [s["state"]["terminated"]["exitCode"] for s in pod["status"]["initContainerStatuses"]]
        self.assertEqual(codes, [0, 0])

    def test_failing_init_container_fails_a_pod_that_never_restarts(self):
        self.make_pod("noinit", "echo never", restartPolicy="Never", initContainers=[
            {"name": "bad", "image": tools.IMAGE, "command": ["/bin/sh", "-c", "exit 5"]}])
        pod = self.wait_phase("noinit", "Failed")
        self.assertEqual(pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 5)
        self.assertNotIn("terminated", state_of(pod))

    def test_several_containers_share_network_and_are_ready_together(self):
        self.run_pod("pair", "exec /bin/web", more_containers=[
            {"name": "side", "image": tools.IMAGE, "command": ["/bin/sleep", "1000"]}])
        done = self.exec("pair", "web", "get", "127.0.0.1", "8080", "/", container="side")
        self.assertEqual(done.stdout, "pair 1\n")

    def test_graceful_termination_lets_the_program_end(self):
        self.run_pod("polite", "trap 'echo caught; sleep 0.3; echo ended; exit 0' TERM; "
                               "while true; do sleep 0.05; done", terminationGracePeriodSeconds=20)
        follow = self.daemon.popen_kubectl("logs", "-f", "-n", self.ns, "polite")
        self.addCleanup(follow.kill)
        time.sleep(0.3)  # kubectl tells nobody when it has begun to follow
        began = time.monotonic()
        self.api.delete("pods", self.ns, "polite")
        deleting = self.api.find("pods", self.ns, "polite")
        if deleting:
            self.assertIn("deletionTimestamp", deleting["metadata"])
        out, _ = follow.communicate(timeout=20)
        self.assertEqual(out, "caught\nended\n")
        self.wait_gone("pods", "polite")
        self.assertLess(time.monotonic() - began, 8)

    def test_deaf_program_is_killed_after_the_grace_period(self):
        self.run_pod("deaf", "trap '' TERM; while true; do sleep 0.1; done", terminationGracePeriodSeconds=2)
        began = time.monotonic()
        self.api.delete("pods", self.ns, "deaf")
        self.wait_gone("pods", "deaf", 20)
        took = time.monotonic() - began
        self.assertGreater(took, 1.5)
        self.assertLess(took, 8)

    def test_pre_stop_hook_runs_before_the_signal(self):
        self.run_pod("hooked", "trap 'echo term; exit 0' TERM; while true; do sleep 0.05; done",
                     terminationGracePeriodSeconds=20,
                     container={"lifecycle": {"preStop": {"exec": {
                         "command": ["/bin/sh", "-c", "echo hook >/proc/1/fd/1; sleep 0.5"]}}}})
        follow = self.daemon.popen_kubectl("logs", "-f", "-n", self.ns, "hooked")
        self.addCleanup(follow.kill)
        time.sleep(0.3)
        self.api.delete("pods", self.ns, "hooked")
        out, _ = follow.communicate(timeout=20)
        self.assertEqual(out, "hook\nterm\n")

    def test_too_much_memory_is_oom_killed(self):
        self.make_pod("hungry", "exec tail /dev/zero", restartPolicy="Never",
                      container={"resources": {"limits": {"memory": "24Mi"}}})
        pod = self.wait_pod("hungry", lambda p: p and "terminated" in state_of(p), 30, "killed")
        end = state_of(pod)["terminated"]
        self.assertEqual((end["reason"], end["exitCode"]), ("OOMKilled", 137))
        self.assertEqual(self.wait_phase("hungry", "Failed")["status"]["phase"], "Failed")

    def test_limits_are_in_the_cgroup(self):
        pod = self.run_pod("limited", "exec sleep 1000", container={"resources": {
            "requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}})
        self.assertEqual(pod["status"]["qosClass"], "Burstable")
        values = {}
        for path in self.daemon.footprint.cgroups():
            if f"pod{pod['metadata']['uid']}/" in path + "/" and pod["metadata"]["uid"] + "_main" in path:
                for name in ("memory.limit_in_bytes", "memory.max", "cpu.cfs_quota_us", "cpu.max", "cpu.shares",
                             "cpu.weight"):
                    try:
                        values[name] = open(f"{path}/{name}", encoding="ascii").read().strip()
                    except FileNotFoundError:
                        pass
        memory = values.get("memory.limit_in_bytes") or values.get("memory.max")
        self.assertEqual(memory, str(64 << 20), values)
        if "cpu.max" in values:
            self.assertEqual(values["cpu.max"], "50000 100000")
        else:
            self.assertEqual(values["cpu.cfs_quota_us"], "50000")
            self.assertEqual(values["cpu.shares"], "102")

    def test_name_resolution_files(self):
        text = self.output_of("files", "hostname; cat /etc/hosts; cat /etc/resolv.conf")
        pod = self.api.get("pods", self.ns, "files")
        lines = text.splitlines()
        self.assertEqual(lines[0], "files")
        self.assertTrue(any(re.match(rf"{re.escape(pod['status']['podIP'])}\s+files$", line) for line in lines), text)
        self.assertIn(f"search {self.ns}.svc.cluster.local svc.cluster.local cluster.local", text)
        self.assertRegex(text, r"nameserver 10\.91\.\d+\.10")
        self.assertIn("options ndots:5", text)

    def test_host_aliases_hostname_and_subdomain(self):
        text = self.output_of("named", "hostname; hostname -f; cat /etc/hosts", hostname="box", subdomain="rack",
                              hostAliases=[{"ip": "192.0.2.7", "hostnames": ["printer", "scanner"]}])
        self.assertEqual(text.splitlines()[0], "box")
        self.assertIn(f"box.rack.{self.ns}.svc.cluster.local", text)
        self.assertRegex(text, r"192\.0\.2\.7\s+printer\s+scanner")

    def test_runs_as_the_user_that_is_asked_for(self):
        text = self.output_of("user", "id -u; id -g; id -G; touch /nope 2>&1 || echo refused; "
                                      "cat /proc/self/status | grep -E 'NoNewPrivs|CapEff'",
                              securityContext={"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 3000},
                              container={"securityContext": {"allowPrivilegeEscalation": False,
                                                             "capabilities": {"drop": ["ALL"]}}})
        lines = text.splitlines()
        self.assertEqual(lines[:2], ["1000", "1000"])
        self.assertIn("3000", lines[2].split())
        self.assertIn("refused", text)
        self.assertRegex(text, r"NoNewPrivs:\s+1")
        self.assertRegex(text, r"CapEff:\s+0000000000000000")

    def test_read_only_root(self):
        text = self.output_of("frozen", "touch /x 2>&1 || echo refused",
                              container={"securityContext": {"readOnlyRootFilesystem": True}})
        self.assertIn("refused", text)

    def test_pod_that_fits_nowhere_says_why(self):
        self.make_pod("huge", "true", container={"resources": {"requests": {"cpu": "10k"}}})
        event = self.wait_event("huge", "FailedScheduling")
        self.assertIn("0/1 nodes are available: 1 Insufficient cpu.", event["message"])
        self.assertEqual(self.api.get("pods", self.ns, "huge")["status"]["phase"], "Pending")

    def test_missing_config_map_waits_and_then_starts(self):
        self.make_pod("patient", "echo $GREETING; exec sleep 1000", container={"envFrom": [
            {"configMapRef": {"name": "late"}}]})
        self.wait_pod("patient", lambda p: p and state_of(p).get("waiting", {}).get("reason")
                      == "CreateContainerConfigError", 20, "waiting for its ConfigMap")
        self.api.create("configmaps", self.ns, {"metadata": {"name": "late"}, "data": {"GREETING": "hi"}})
        self.wait_ready("patient", 90)
        self.assertEqual(self.api.log(self.ns, "patient"), "hi\n")


class Probes(ClusterCase):
    def test_readiness_follows_the_probe(self):
        self.run_pod("web", container={"ports": [{"containerPort": 8080}], "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}})
        self.exec("web", "touch", "/tmp/unready")
        self.wait_pod("web", lambda p: not container_status(p)["ready"], 15, "unready")
        self.wait_event("web", "Unhealthy", text="Readiness probe failed")
        self.exec("web", "rm", "/tmp/unready")
        pod = self.wait_ready("web", 15)
        self.assertEqual(container_status(pod)["restartCount"], 0)

    def test_failing_liveness_restarts(self):
        self.run_pod("sick", container={"livenessProbe": {
            "httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}})
        self.exec("sick", "touch", "/tmp/sick")
        pod = self.wait_pod("sick", lambda p: container_status(p)["restartCount"] == 1
                            and "running" in state_of(p), 30, "restarted")
        self.assertIn(container_status(pod)["lastState"]["terminated"]["reason"], ("Completed", "Error"))
        self.wait_event("sick", "Killing", text="failed liveness probe, will be restarted")
        self.wait_ready("sick", 15)

    def test_startup_probe_holds_the_others_back(self):
        self.make_pod("slow", "sleep 3; touch /tmp/up; exec /bin/web", container={
            "startupProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1,
                             "failureThreshold": 30},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1,
                              "failureThreshold": 1}})
        pod = self.wait_pod("slow", lambda p: p and "running" in state_of(p), 15, "running")
        self.assertFalse(container_status(pod)["started"])
        pod = self.wait_ready("slow", 30)
        self.assertEqual(container_status(pod)["restartCount"], 0)

    def test_tcp_probe(self):
        self.make_pod("tcp", "sleep 2; exec /bin/web", container={"readinessProbe": {
            "tcpSocket": {"port": 8080}, "periodSeconds": 1}})
        self.wait_pod("tcp", lambda p: p and "running" in state_of(p), 15, "running")
        self.assertFalse(container_status(self.api.get("pods", self.ns, "tcp"))["ready"])
        self.wait_ready("tcp", 15)


class Streams(ClusterCase):
    def test_logs_follow_tail_since_and_timestamps(self):
        self.run_pod("talk", "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; "
                             "while [ ! -e /tmp/go ]; do sleep 0.05; done; echo last; exec sleep 1000")
        eventually(lambda: "oops" in self.api.log(self.ns, "talk"))
        self.assertEqual(self.api.log(self.ns, "talk", tailLines=2).splitlines()[-1], "oops")
        self.assertEqual(self.api.log(self.ns, "talk", limitBytes=6), "line 1")
        stamped = self.api.log(self.ns, "talk", timestamps="true").splitlines()[0]
        self.assertRegex(stamped, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 1$")
        follow = self.daemon.popen_kubectl("logs", "-f", "--tail=1", "-n", self.ns, "talk")
        self.addCleanup(follow.kill)
        self.assertEqual(follow.stdout.readline(), "oops\n")
        self.exec("talk", "touch", "/tmp/go")
        self.assertEqual(follow.stdout.readline(), "last\n")

    def test_log_follow_ends_with_the_container(self):
        self.make_pod("brief", "echo a; sleep 1; echo b", restartPolicy="Never")
        self.wait_pod("brief", lambda p: p and "running" in state_of(p), 15, "running")
        done = self.daemon.kubectl("logs", "-f", "-n", self.ns, "brief", timeout=30)
        self.assertEqual(done.stdout, "a\nb\n")

    def test_long_lines_come_back_whole(self):
        text = self.output_of("long", "head -c 50000 /dev/zero | tr '\\0' x; echo; echo end")
        self.assertEqual(text, "x" * 50000 + "\nend\n")

    def test_exec_streams_and_exit_code(self):
        self.run_pod("target", "exec sleep 1000")
        done = self.exec("target", "/bin/sh", "-c", "echo out; echo err >&2; exit 42", check=False)
        self.assertEqual((done.stdout, done.returncode), ("out\n", 42))
        self.assertIn("err\n", done.stderr)
        self.assertIn("command terminated with exit code 42", done.stderr)

    def test_exec_stdin(self):
        self.run_pod("pipe", "exec sleep 1000")
        data = "".join(f"{i} some text\n" for i in range(20000))
        done = self.daemon.kubectl("exec", "-i", "-n", self.ns, "pipe", "--", "md5sum", input=data)
        import hashlib
        self.assertEqual(done.stdout.split()[0], hashlib.md5(data.encode()).hexdigest())

    def test_exec_of_a_missing_program(self):
        self.run_pod("none", "exec sleep 1000")
        done = self.exec("none", "/does/not/exist", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/does/not/exist", done.stderr)

    def test_exec_with_a_terminal(self):
        import os
        import pty
        self.run_pod("term", "exec sleep 1000")
        controller, terminal = pty.openpty()
        command = [tools.kubectl(), "exec", "-it", "-n", self.ns, "term", "--", "/bin/sh", "-c",
                   "tty; test -t 0 && test -t 1 && echo yes; exit 3"]
        child = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True,
                                 env=self.daemon.environment(), start_new_session=True)
        os.close(terminal)
        out = b""
        while True:
            try:
                data = os.read(controller, 4096)
            except OSError:
                break
            if not data:
                break
            out += data
        os.close(controller)
        self.assertEqual(child.wait(20), 3)
        self.assertIn("/dev/pts/0", out.decode())
        self.assertIn("yes", out.decode())


if __name__ == "__main__":
    unittest.main()
