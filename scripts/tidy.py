"""Runs clang-tidy over batches of sources, several at a time (see scripts/tidy)."""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("api/", "daemon/", "scheduler/", "runtime/", "ctl/")
BATCH = 24
EXPENSIVE = (
    "clang-analyzer-core.*,clang-analyzer-cplusplus.*,clang-analyzer-unix.Malloc,"
    "bugprone-assert-side-effect,bugprone-infinite-loop,bugprone-multiple-statement-macro,"
    "bugprone-sizeof-expression,performance-type-promotion-in-math-fn"
)
FINDING = re.compile(r"^(?P<file>/[^:]+):\d+:\d+: (error|warning): .*\[(?P<check>[\w.,-]+)\]$")
class Batch:
    def __init__(self, flags: tuple, sources: list):
        self.flags, self.sources = flags, sources


def relevant_flags(entry: dict) -> tuple:
    """What a source is compiled with that says how it reads: definitions, include paths, language."""
    words, flags = shlex.split(entry["command"]), []
    for index, word in enumerate(words):
        if word.startswith(("-D", "-I", "-std=")):
            flags.append(word if len(word) > 2 else word + words[index + 1])
        elif word == "-isystem":
            flags.append(word + words[index + 1])
    return tuple(sorted(set(flags)))


def look_at(batch: Batch, options: list) -> tuple:
    """Findings by file, and the sources that could not be read beside the others."""
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / "batch.cpp"
        unit.write_text("".join(f'#include "{source}"  // NOLINT(bugprone-suspicious-include)\n'
                                for source in batch.sources))
        run = subprocess.run(
            ["clang-tidy-16", "--quiet", f"--config-file={ROOT}/.clang-tidy", *options, str(unit), "--",
             *batch.flags, "-Wno-pragma-once-outside-header", "-Wno-unused-function"],
            capture_output=True, text=True, cwd=ROOT)
    findings, unread, current = collections.defaultdict(list), set(), None
    for line in run.stdout.splitlines():
        found = FINDING.match(line)
        if found:
            current = os.path.realpath(found["file"])
            if "clang-diagnostic-error" in found["check"]:
                unread.add(current)
        if current and line.strip():
            findings[current].append(line)
    if run.returncode != 0 and not findings:
        findings[batch.sources[0]].append(run.stdout + run.stderr)
    return findings, unread


def tidy(sources: list, flags: tuple, options: list, jobs: int) -> dict:
    results = {}
    # Neighbours include the same, so they go together.
    batches = [Batch(flags, sources[at:at + BATCH]) for at in range(0, len(sources), BATCH)]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        while batches:
            again = []
            for batch, (findings, unread) in zip(batches, pool.map(lambda b: look_at(b, options), batches)):
                # An error in a header, or in a source that is alone, is a finding.
                repeat = [source for source in batch.sources if source in unread and len(batch.sources) > 1]
                again += repeat
                for file, lines in findings.items():
                    if file not in repeat:
                        results.setdefault(file, lines)
            # Neighbours again share names, so those of one batch go apart.
            parts = max(len(again) // 6, 1)
            batches = [Batch(flags, again[at::parts]) for at in range(parts)] if again else []
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="tidy")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("paths", nargs="*", default=ROOMS)
    arguments = parser.parse_intermixed_args()

    commands = arguments.build.resolve() / "compile_commands.json"
    if not commands.is_file():
        print(f"tidy: no {commands}; configure first: cmake --preset dev", file=sys.stderr)
        return 2
    groups = collections.defaultdict(list)
    for entry in json.loads(commands.read_text()):
        source = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        name = os.path.relpath(source, ROOT)
        if name.startswith(tuple(arguments.paths)) and name.startswith(ROOMS) and source.endswith(".cpp") \
                and os.path.exists(source) and source not in groups[relevant_flags(entry)]:
            groups[relevant_flags(entry)].append(source)
    options = ["--checks=" + EXPENSIVE] if arguments.all else []
    count, results = 0, {}
    for flags, sources in groups.items():
        count += len(sources)
        results.update(tidy(sorted(sources), flags, options, arguments.jobs))
    for file, lines in sorted(results.items()):
        print(f"{os.path.relpath(file, ROOT)}:", *lines, sep="\n", flush=True)
    print(f"tidy: {count} files, {len(results)} with findings")
    return 1 if results else 0


if __name__ == "__main__":
    sys.exit(main())
