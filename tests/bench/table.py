"""The rows of the budget table, and how they are printed."""
import os
import platform
import subprocess

# name, what, budget, unit
ROWS = [
    ("first_start", "start to `/readyz`, empty (first: makes its certificates)", "150", "ms"),
    ("restart", "start to `/readyz` again", "150", "ms"),
    ("start_alone", "start to `/readyz` of `--without-node`, empty", "150", "ms"),
    ("pss_empty", "PSS of mothd, idle, empty", "20", "MB"),
    ("pss_100", "PSS of mothd, idle, with 100 pods", "40", "MB"),
    ("pss_shim", "shim, PSS per container", "0.1", "MB"),
    ("pss_pod", "memory per stored pod", "", "KB"),
    ("pss_watcher", "memory per watcher", "", "KB"),
    ("cpu_idle", "CPU of mothd, idle with 50 pods", "0.1", "% of a core"),
    ("disk_idle", "disk bytes written per idle hour, 50 pods", "0", "bytes"),
    ("pod_p50", "apply to Running, cached image, one pod, p50", "60", "ms"),
    ("pod_p99", "apply to Running, cached image, one pod, p99", "150", "ms"),
    ("scale_100", "scale 0 to 100 Ready", "4", "s"),
    ("creates", "durable creates per second, 64 clients", "5000", "/s"),
    ("gets", "GET per second, 64 clients", "20000", "/s"),
    ("list_10000", "LIST of 10,000 pods", "100", "ms"),
    ("fan_out", "watch fan-out to 1,000 watchers, p99", "50", "ms"),
    ("service_1", "Service throughput / pod's own address, 1 backend", "0.95", ""),
    ("service_100", "Service throughput / pod's own address, 100 backends", "0.95", ""),
    ("roll_failed", "rolling update under load: failed requests", "0", ""),
    ("kill_failed", "kill -9 under load: failed requests", "0", ""),
    ("kill_restarts", "kill -9 under load: container restarts", "0", ""),
    ("take_over", "kill -9 under load: takes over after", "300", "ms"),
    ("binary", "stripped mothd", "12", "MB"),
]


class Table:
    def __init__(self, quick: bool):
        self.quick = quick
        self.values, self.peers, self.extras, self.notes = {}, {}, {}, []

    def set(self, name: str, value: float, extra: str = "") -> None:
        self.values[name] = value
        if extra:
            self.extras[name] = extra

    def peer(self, name: str, who: str, text: str) -> None:
        self.peers.setdefault(name, []).append(f"{who}: {text}")

    def note(self, text: str) -> None:
        self.notes.append(text)

    def figures(self) -> dict:
        return {"values": self.values, "peers": self.peers, "notes": self.notes}

    @staticmethod
    def number(value: float) -> str:
        if value >= 100 or value == int(value):
            return f"{value:,.0f}"
        return f"{value:.2f}" if value < 10 else f"{value:.1f}"

    def text(self) -> str:
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                    if line.startswith("model name")), platform.processor())
        load = os.getloadavg()[0]
        lines = [f"{os.cpu_count()} cores ({cpu}), Linux {platform.release()}, load average {load:.1f} at the end", "",
                 "| what | budget | mothd | peers |", "|---|---|---|---|"]
        for name, what, budget, unit in ROWS:
            if name not in self.values and name not in self.peers:
                continue
            value = self.values.get(name)
            measured = "not measured" if value is None else f"{self.number(value)} {unit}".strip()
            if name in self.extras:
                measured += f" ({self.extras[name]})"
            if value is not None and missed(budget, value, name):
                measured = f"**{measured}**"
            limit = f"{float(budget):,g} {unit}" if budget else "none"
            lines.append(f"| {what} | {limit} | {measured} | {'; '.join(self.peers.get(name, []))} |")
        lines += ["", "Bold: misses the budget."] + [f"Note: {text}" for text in self.notes]
        return "\n".join(lines)


def missed(budget: str, value: float, name: str) -> bool:
    if not budget:
        return False
    more_is_better = name in ("creates", "gets", "service_1", "service_100")
    return value < float(budget) if more_is_better else value > float(budget)


def pss_kb(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def output(*command: str, timeout: float = 120, **kwargs) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)[-120:]}` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout
