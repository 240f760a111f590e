"""What an instance of mothd owns on the machine, found by its name: for leak checks and for cleaning up."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

CGROUP_ROOT = pathlib.Path("/sys/fs/cgroup")


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


class Footprint:
    """The names below which an instance keeps what it makes."""

    def __init__(self, instance: str, data_dir: str, run_dir: str, pod_cidr: str, service_cidr: str):
        self.instance, self.data_dir, self.run_dir = instance, data_dir, run_dir
        self.cidrs = [pod_cidr, service_cidr]

    def processes(self) -> list:
        """[(pid, command)]: in the instance's cgroups, or started with its folders."""
        group = re.compile(rf":/moth-{re.escape(self.instance)}(/|$)", re.MULTILINE)
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            command = _read(f"/proc/{entry}/cmdline").replace("\0", " ").strip()
            program = os.path.basename(command.split(" ", 1)[0]) if command else ""
            named = program in ("mothd", "moth-shim", "runc", "crun") and (
                self.data_dir in command or self.run_dir + "/" in command)
            if named or group.search(_read(f"/proc/{entry}/cgroup")):
                if " Z " not in _read(f"/proc/{entry}/stat"):
                    found.append((int(entry), command[:150]))
        return found

    def mounts(self) -> list:
        points = [line.split()[4] for line in _read("/proc/self/mountinfo").splitlines()]
        return [point for point in points if point.startswith((self.data_dir + "/", self.run_dir + "/"))]

    def links(self, pod_uid: str = "") -> list:
        out = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True).stdout
        return [link["ifname"] for link in json.loads(out or "[]")
                if link.get("ifalias", "").startswith(f"moth/{self.instance}/{pod_uid}")]

    def routes(self) -> list:
        found = []
        for cidr in self.cidrs:
            out = subprocess.run(["ip", "route", "show", "table", "all", "root", cidr],
                                 capture_output=True, text=True).stdout
            found += out.splitlines()
        return found

    def cgroups(self) -> list:
        found = []
        for root in [CGROUP_ROOT] + [path for path in CGROUP_ROOT.iterdir() if path.is_dir()]:
            top = root / f"moth-{self.instance}"
            if top.is_dir():
                found += [str(path) for path, _, _ in os.walk(top)]
        return found

    def nft_tables(self) -> list:
        out = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
        name = "moth_" + self.instance.replace("-", "_")
        return [line for line in out.splitlines() if line.split()[-1] == name]

    def directories(self) -> list:
        """Of pods: what must go with them, and the run dir, which must go with the workloads."""
        pods = pathlib.Path(self.data_dir) / "pods"
        found = [str(path) for path in pods.iterdir()] if pods.is_dir() else []
        if os.path.isdir(self.run_dir):
            found += [str(pathlib.Path(folder) / name) for folder, _, names in os.walk(self.run_dir)
                      for name in names]
            found.append(self.run_dir)
        return found

    def everything(self) -> dict:
        parts = {"processes": self.processes(), "mounts": self.mounts(), "links": self.links(),
                 "routes": self.routes(), "cgroups": self.cgroups(), "nft tables": self.nft_tables(),
                 "directories": self.directories()}
        return {what: found for what, found in parts.items() if found}

    def of_pods(self) -> dict:
        """Counts of what exists per pod while the daemon runs; all 0 without pods."""
        netns = pathlib.Path(self.run_dir) / "netns"
        pods = pathlib.Path(self.data_dir) / "pods"
        return {
            "processes": sum("mothd" not in command.split(" ")[0] for _, command in self.processes()),
            # The folder of network namespaces is a mount itself, so that they are seen everywhere.
            "mounts": sum(point != str(netns) for point in self.mounts()),
            "links": sum(not name.endswith("svc") for name in self.links()),
            "cgroups": sum("/pod" in path for path in self.cgroups()),
            "netns": len(list(netns.iterdir())) if netns.is_dir() else 0,
            "pod folders": len(list(pods.iterdir())) if pods.is_dir() else 0,
            "snapshots": self.snapshots(),
        }

    def snapshots(self) -> int:
        folder = pathlib.Path(self.data_dir) / "snapshots"
        return len(list(folder.iterdir())) if folder.is_dir() else 0

    def remove_by_force(self) -> None:
        """After a failure: so that one test's leak does not become another's."""
        for pid, _ in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for point in sorted(self.mounts(), key=len, reverse=True):
            subprocess.run(["umount", "-l", point], capture_output=True)
        for name in self.links():
            subprocess.run(["ip", "link", "delete", name], capture_output=True)
        for cidr in self.cidrs:
            subprocess.run(["ip", "route", "flush", "root", cidr], capture_output=True)
            subprocess.run(["ip", "route", "delete", "unreachable", cidr], capture_output=True)
        for line in self.nft_tables():
            subprocess.run(["nft", "delete"] + line.split(), capture_output=True)
        deadline = time.monotonic() + 5
        while self.cgroups() and time.monotonic() < deadline:
            for path in sorted(self.cgroups(), key=len, reverse=True):
                try:
                    os.rmdir(path)
                except OSError:
                    time.sleep(0.02)
        shutil.rmtree(self.run_dir, ignore_errors=True)
