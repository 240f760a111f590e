#!/usr/bin/env python3
"""Checks who includes whom (docs/architecture.md, "Who may include whom").

Each folder names the folders that it may include; what is not listed is refused. The longest prefix
counts, and a folder may always include itself and what is below it.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

BASE = ["api/base"]
MACHINERY = BASE + ["api/machinery"]
SCHEMA = MACHINERY + ["api/schema"]
APPLY = SCHEMA + ["api/apply"]
RESOURCES = SCHEMA + ["api/resources"]
CLIENT_INTERFACES = ["api/client/object_client.h", "api/client/event_recorder.h", "api/client/node_api.h"]
HTTP = BASE + ["api/http"]
OS = BASE + ["runtime/os"]
NODE_LEAVES = OS + ["api/machinery"]

MAY_INCLUDE = {
    "cmake": ["api/base"],
    "api/base": [],
    "api/machinery": BASE,
    "api/schema": SCHEMA,
    "api/schema/tools": ["model.h"],
    "api/resources": RESOURCES + ["api/cel"],
    "api/apply": APPLY,
    "api/http": HTTP,
    "api/client": RESOURCES + HTTP + ["api/client"],
    "api/cel": SCHEMA + ["api/cel"],
    "api/server": RESOURCES + APPLY + HTTP + ["api/cel", "api/server"] + CLIENT_INTERFACES,
    "daemon/pki": MACHINERY + ["api/client/kubeconfig", "daemon/pki"],
    "daemon/store": RESOURCES + ["api/server/storage.h", "daemon/store"],
    "daemon/controllers": RESOURCES + CLIENT_INTERFACES + ["daemon/controllers"],
    "daemon": ["api", "daemon", "scheduler", "runtime"],
    "scheduler": RESOURCES + CLIENT_INTERFACES + ["scheduler"],
    "runtime/os": OS,
    "runtime/shim": OS + ["runtime/shim"],
    "runtime/cgroups": NODE_LEAVES,
    "runtime/oci": NODE_LEAVES + ["runtime/cgroups", "runtime/shim"],
    "runtime/network": NODE_LEAVES + HTTP + ["runtime/network"],
    "runtime/images": NODE_LEAVES + HTTP,
    "runtime/volumes": NODE_LEAVES,
    "runtime/gpu": NODE_LEAVES,
    "runtime/agent": RESOURCES + HTTP + CLIENT_INTERFACES + ["runtime"],
    "ctl": RESOURCES + HTTP + ["api/client", "ctl"],
    "tests": ["api", "daemon", "scheduler", "runtime", "ctl", "tests"],
}

# Ours and nobody else's go in quotes, so that a quoted third-party header is refused too.
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<((?:api|daemon|scheduler|runtime|ctl|tests)/[^>]+)>)')


def allowed(source: str, target: str) -> bool:
    folder = max((key for key in MAY_INCLUDE if source.startswith(key + "/")), key=len, default=None)
    if folder is None:
        return False
    roots = MAY_INCLUDE[folder] + [folder]
    return any(target == root or target.startswith(root + "/") for root in roots)


def main() -> int:
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.cpp", "*.h", "*.c"],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    wrong = []
    for name in files:
        path = ROOT / name
        if not path.exists():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, bracketed = match.groups()
            if bracketed:
                wrong.append(f"{name}:{number}: put {bracketed} in quotes")
            elif not allowed(name, quoted):
                wrong.append(f"{name}:{number}: may not include {quoted}")
    print("\n".join(wrong) if wrong else f"include rules hold in {len(files)} files")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
