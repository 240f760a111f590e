"""The same figures of what else runs containers on this machine."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time

from harness import tools
from table import output, pss_kb


def runc(table, _bin_dir: str):
    """plain runc and crun: a container from nothing to running, no network, no image"""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "rootfs"
        root.mkdir()
        with tarfile.open(tools.image_archive()) as archive:
            manifest = json.load(archive.extractfile("manifest.json"))
            for layer in manifest[0]["Layers"]:
                with tarfile.open(fileobj=archive.extractfile(layer)) as content:
                    content.extractall(root)
        for program in ("runc", "crun"):
            if not shutil.which(program):
                table.note(f"{program} is not installed")
                continue
            subprocess.run(["runc", "spec", "-b", folder], check=True, capture_output=True)
            config = json.loads((pathlib.Path(folder) / "config.json").read_text())
            config["process"].update(terminal=False, args=["/bin/true"])
            (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
            times = []
            probe = subprocess.run([program, "--root", folder + "/state", "run", "-b", folder, "probe"],
                                   capture_output=True, text=True, timeout=20)
            if probe.returncode != 0:
                table.note(f"{program} does not run here: {probe.stderr.strip()[-200:]}")
                os.unlink(folder + "/config.json")
                continue
            for number in range(10 if table.quick else 30):
                began = time.monotonic()
                subprocess.run([program, "--root", folder + "/state", "run", "-b", folder, f"bench{number}"],
                               check=True, capture_output=True, timeout=20)
                times.append((time.monotonic() - began) * 1000)
            os.unlink(folder + "/config.json")
            table.peer("pod_p50", f"`{program} run` to the end", f"{statistics.median(times):.0f} ms")


KUBE = """apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  containers:
  - {name: main, image: "localhost/test-tools:1", imagePullPolicy: Never}
"""


def podman(table, _bin_dir: str):
    """podman kube play: one pod until it answers, then many"""
    if not shutil.which("podman"):
        table.note("podman is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        # As on hosts where the hard limits are lower than podman's own defaults.
        configuration = folder + "/containers.conf"
        with open(configuration, "w", encoding="ascii") as out:
            out.write('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
        environment = dict(os.environ, CONTAINERS_CONF=configuration)
        base = ["podman", "--root", folder + "/root", "--runroot", folder + "/run", "--cgroup-manager", "cgroupfs",
                "--network-config-dir", folder + "/net", "--tmpdir", folder + "/tmp", "--events-backend", "none",
                "--runtime", "runc"]

        def call(*args, **kwargs):
            return output(*base, *args, env=environment, **kwargs)
        call("load", "-q", "-i", tools.image_archive())
        names = []

        def play(name: str) -> None:
            path = f"{folder}/{name}.yaml"
            with open(path, "w", encoding="ascii") as out:
                out.write(KUBE.replace("NAME", name))
            names.append(name)
            call("kube", "play", path)
        try:
            play("warm")
            times = []
            for number in range(3 if table.quick else 7):
                began = time.monotonic()
                play(f"one{number}")
                times.append((time.monotonic() - began) * 1000)
            table.peer("pod_p50", "`podman kube play`", f"{statistics.median(times):.0f} ms")
            count = 10 if table.quick else 25
            began = time.monotonic()
            for number in range(count):
                play(f"many{number}")
            took = time.monotonic() - began
            table.peer("scale_100", "`podman kube play`", f"{took * 100 / count:.0f} s for 100 ({count} measured)")
            monitors = [pss_kb(int(pid)) for pid in os.listdir("/proc") if pid.isdigit() and monitor_of(pid, folder)]
            if monitors:
                table.peer("pss_shim", "conmon", f"{statistics.mean(monitors) / 1000:.2f} MB")
        finally:
            subprocess.run(base + ["pod", "rm", "-a", "-f", "-t", "0"], capture_output=True, timeout=180,
                           env=environment)
            subprocess.run(base + ["network", "rm", "-f", "podman-default-kube-network"], capture_output=True,
                           timeout=60, env=environment)
            subprocess.run(["umount", "-l", folder + "/root/overlay"], capture_output=True)


def monitor_of(pid: str, folder: str) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
    except OSError:
        return False
    return b"conmon" in command.split(b"\0")[0] and folder.encode() in command


def docker_swarm(table, _bin_dir: str):
    """Docker Swarm, if a dockerd is there (never started from here)"""
    try:
        running = subprocess.run(["docker", "info", "--format", "{{.Swarm.LocalNodeState}}"], capture_output=True,
                                 text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        table.note("Docker Swarm: no dockerd on this machine, so not measured")
        return
    if running.returncode != 0 or running.stdout.strip() != "active":
        table.note("Docker Swarm: no dockerd with an active swarm on this machine, so not measured")
        return
    subprocess.run(["docker", "load", "-q", "-i", tools.image_archive()], check=True, capture_output=True, timeout=60)
    name = f"moth-bench-{os.getpid()}"
    try:
        began = time.monotonic()
        output("docker", "service", "create", "-q", "--detach=false", "--name", name, tools.IMAGE)
        table.peer("pod_p50", "Docker Swarm", f"{(time.monotonic() - began) * 1000:.0f} ms to a converged service")
        began = time.monotonic()
        output("docker", "service", "scale", "--detach=false", f"{name}=100", timeout=180)
        table.peer("scale_100", "Docker Swarm", f"{time.monotonic() - began:.0f} s")
    finally:
        subprocess.run(["docker", "service", "rm", name], capture_output=True, timeout=60)


STEPS = [runc, podman, docker_swarm]
