"""Runs clang-tidy in parallel and remembers clean files (see scripts/tidy)."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "moth-tidy"
ROOMS = ("api/", "daemon/", "scheduler/", "runtime/", "ctl/")


def key_of(entry: dict) -> str:
    """Hash of the preprocessed text's own headers, the command and the checks."""
    command = [part for part in entry["command"].split() if "ccache" not in part]
    out = command.index("-o")
    scan = command[:out] + command[out + 2:] + ["-MM", "-MF", "-"]
    for flag in ("-c", "-MD"):
        while flag in scan:
            scan.remove(flag)
    while "-MT" in scan:
        at = scan.index("-MT")
        del scan[at:at + 2]
    first_mf = scan.index("-MF")
    if scan[first_mf + 1] != "-":
        del scan[first_mf:first_mf + 2]
    headers = subprocess.run(scan, cwd=entry["directory"], capture_output=True, text=True).stdout
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for name in headers.replace("\\\n", " ").split()[1:]:
        path = pathlib.Path(name)
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def check(entry: dict, build: str) -> tuple[str, str]:
    name = os.path.relpath(entry["file"], ROOT)
    key = key_of(entry)
    if (CACHE / key).exists():
        return name, ""
    run = subprocess.run(["clang-tidy-16", "--quiet", "-p", build, entry["file"]],
                         capture_output=True, text=True, cwd=ROOT)
    if run.returncode == 0:
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / key).touch()
        return name, ""
    return name, run.stdout or run.stderr


def main() -> int:
    build = sys.argv[1]
    entries = json.loads((ROOT / build / "compile_commands.json").read_text())
    entries = [entry for entry in entries
               if os.path.relpath(entry["file"], ROOT).startswith(ROOMS) and entry["file"].endswith(".cpp")]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, output in pool.map(lambda entry: check(entry, build), entries):
            if output:
                failed += 1
                print(f"{name}:\n{output}")
    print(f"tidy: {len(entries)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
