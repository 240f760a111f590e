"""Runs clang-tidy in parallel and remembers clean files (see scripts/tidy)."""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "moth-tidy"
ROOMS = ("api/", "daemon/", "scheduler/", "runtime/", "ctl/")
EXPENSIVE = (
    "clang-analyzer-core.*,clang-analyzer-cplusplus.*,clang-analyzer-unix.Malloc,"
    "bugprone-assert-side-effect,bugprone-infinite-loop,bugprone-multiple-statement-macro,"
    "bugprone-sizeof-expression,performance-type-promotion-in-math-fn"
)
USES_BEAST = re.compile(r"#include <boost/beast[/.]")


class Tidy:
    def __init__(self, build: pathlib.Path, everything: bool):
        self.build = build
        self.options = ["--quiet", "-p", str(build)]
        if everything:
            self.options.append("--checks=" + EXPENSIVE)
        else:
            self.options.append("--extra-arg=-fdelayed-template-parsing")
        self.base = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
        self.base.update(" ".join(self.options[3:]).encode())
        self.headers = self._headers()
        self.hashes: dict[str, bytes] = {}

    def _headers(self) -> dict[str, list[str]]:
        """What each object was made from, from ninja's own log; nothing where nothing was built."""
        run = subprocess.run(["ninja", "-C", str(self.build), "-t", "deps"],
                             capture_output=True, text=True)
        found: dict[str, list[str]] = {}
        names: list[str] = []
        for line in run.stdout.splitlines():
            if line.startswith("    "):
                names.append(line.strip())
            elif line.endswith("(VALID)"):
                names = found.setdefault(line.split(":", 1)[0], [])
            else:
                names = []
        return found

    def _hash(self, name: str) -> bytes:
        if name not in self.hashes:
            path = self.build / name
            self.hashes[name] = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
        return self.hashes[name]

    def key(self, entry: dict) -> str | None:
        """Names this source in this state, or None where its headers are not known."""
        command = entry["command"].split()
        headers = self.headers.get(command[command.index("-o") + 1])
        if not headers:
            return None
        digest = self.base.copy()
        digest.update(entry["command"].encode())
        for name in headers:
            digest.update(self._hash(name))
        return digest.hexdigest()

    def check(self, entry: dict) -> str:
        """The findings, empty when there are none."""
        key = self.key(entry)
        if key and (CACHE / key).exists():
            return ""
        run = subprocess.run(["clang-tidy-16", *self.options, entry["file"]],
                             capture_output=True, text=True, cwd=ROOT)
        if run.returncode != 0:
            return run.stdout or run.stderr
        if key:
            CACHE.mkdir(parents=True, exist_ok=True)
            (CACHE / key).touch()
        return ""


def name_of(entry: dict) -> str:
    return os.path.relpath(entry["file"], ROOT)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tidy")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("paths", nargs="*", default=ROOMS)
    arguments = parser.parse_intermixed_args()

    build = arguments.build.resolve()
    commands = build / "compile_commands.json"
    if not commands.is_file():
        print(f"tidy: no {commands}; configure first: cmake --preset dev", file=sys.stderr)
        return 2
    entries = {name_of(entry): entry for entry in json.loads(commands.read_text())}
    chosen = []
    for name, entry in sorted(entries.items()):
        if not name.startswith(ROOMS) or not name.startswith(tuple(arguments.paths)):
            continue
        path = pathlib.Path(entry["file"])
        if path.suffix != ".cpp" or not path.exists():
            continue
        if not arguments.all and USES_BEAST.search(path.read_text(encoding="utf-8")):
            continue
        chosen.append(entry)

    tidy = Tidy(build, arguments.all)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for entry, output in zip(chosen, pool.map(tidy.check, chosen)):
            if output:
                failed += 1
                print(f"{name_of(entry)}:\n{output}", flush=True)
    print(f"tidy: {len(chosen)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
