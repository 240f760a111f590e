"""HTTP load with wrk: a new connection for every request, every failure counted."""
import json
import os
import subprocess
import tempfile

SCRIPT = """
wrk.headers["Connection"] = "close"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('RESULT {"requests": %d, "seconds": %.3f, "connect": %d, "read": %d, "write": %d, ' ..
    '"status": %d, "timeout": %d, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}\\n', summary.requests,
    summary.duration / 1e6, e.connect, e.read, e.write, e.status, e.timeout, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""
KEEP_ALIVE = SCRIPT.replace('wrk.headers["Connection"] = "close"\n', "")


class Load:
    """Runs wrk in the background, below `netns` (a file) if that is given; result() waits for it."""

    def __init__(self, url: str, seconds: int, connections: int = 8, threads: int = 1, keep_alive: bool = False,
                 netns: str = ""):
        self.seconds = seconds
        self.script = tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False)
        self.script.write(KEEP_ALIVE if keep_alive else SCRIPT)
        self.script.close()
        command = ["wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "5s",
                   "-s", self.script.name, url]
        if netns:
            command = ["nsenter", f"--net={netns}", *command]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def running(self) -> bool:
        return self.process.poll() is None

    def result(self) -> dict:
        try:
            out, _ = self.process.communicate(timeout=self.seconds + 30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.unlink(self.script.name)
        lines = [line for line in out.splitlines() if line.startswith("RESULT ")]
        if not lines:
            raise AssertionError(f"wrk gave no result: {out[-500:]}")
        found = json.loads(lines[0][len("RESULT "):])
        found["failed"] = sum(found[kind] for kind in ("connect", "read", "write", "status", "timeout"))
        return found

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if os.path.exists(self.script.name):
            os.unlink(self.script.name)
