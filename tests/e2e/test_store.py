"""Nothing acknowledged is lost when the daemon is killed, and revisions never go back."""
import http.client
import json
import os
import random
import threading
import time
import unittest

from harness.api import Api, ApiError
from harness.case import BIN, FULL, ClusterCase, need_moth
from harness.daemon import Daemon

WRITERS = 16
ROUNDS = 12 if FULL else 5


class Writer(threading.Thread):
    """Creates, changes and deletes ConfigMaps of its own and remembers what was acknowledged."""

    def __init__(self, kubeconfig: str, number: int):
        super().__init__()
        self.api = Api(kubeconfig)
        self.number = number
        self.random = random.Random(number)
        self.known = {}      # name: data that was acknowledged
        self.uncertain = {}  # name: data of a write whose answer did not come (None: a deletion)
        self.revision = 0    # the highest that was seen
        self.writes = 0
        self.problems = []
        self.stop = threading.Event()
        self.counter = 0

    def run(self):
        while not self.stop.is_set():
            try:
                self.step()
            except (OSError, http.client.HTTPException):
                self.api.close()
                self.stop.wait(0.02)  # the daemon is away
            except ApiError as error:
                if error.code not in (500, 503, 504):
                    self.problems.append(f"writer {self.number}: {error}")
                    return
                self.stop.wait(0.02)
            if self.problems:
                return

    def settle(self):
        """Finds out what became of the write whose answer was lost."""
        for name, data in list(self.uncertain.items()):
            item = self.api.find("configmaps", "default", name)
            found = item["data"]["v"] if item else None
            if found not in (data, self.known.get(name)):
                self.problems.append(f"{name}: found {found}, acknowledged {self.known.get(name)}, tried {data}")
            if found is None:
                self.known.pop(name, None)
            else:
                self.known[name] = found
            del self.uncertain[name]


    def step(self):
        self.settle()
        path = "/api/v1/namespaces/default/configmaps"
        self.counter += 1
        value = f"{self.number}-{self.counter}"
        kind = self.random.random()
        if not self.known or kind < 0.5:
            name = f"w{self.number}-{self.counter}"
            self.uncertain[name] = value
            item = self.api_call("POST", path, {"metadata": {"name": name}, "data": {"v": value}})
        else:
            name = self.random.choice(sorted(self.known))
            if kind < 0.8:
                self.uncertain[name] = value
                item = self.api_call("PATCH", f"{path}/{name}", {"data": {"v": value}},
                                     "application/merge-patch+json")
            else:
                self.uncertain[name] = None
                self.api_call("DELETE", f"{path}/{name}")
                item, value = None, None
        del self.uncertain[name]
        self.writes += 1
        if value is None:
            self.known.pop(name, None)
            return
        self.known[name] = value
        revision = int(item["metadata"]["resourceVersion"])
        if revision <= self.revision:
            self.problems.append(f"{name}: revision {revision} after {self.revision}")
        self.revision = revision

    def api_call(self, method, path, body=None, content_type="application/json"):
        """One try on the kept connection; a closed one counts as an unknown outcome."""
        if self.api.connection is None:
            self.api.connection = self.api.connect(10)
        connection = self.api.connection
        data = json.dumps(body).encode() if body is not None else None
        connection.request(method, path, data, {"Content-Type": content_type} if data else {})
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status >= 400:
            raise ApiError(response.status, answer)
        return answer


class Crashes(ClusterCase):
    with_node = False
    alone = True

    def test_acknowledged_writes_survive_kill_9(self):
        writers = [Writer(self.daemon.kubeconfig, number) for number in range(WRITERS)]
        highest = 0
        for writer in writers:
            writer.start()
        try:
            for _ in range(ROUNDS):
                time.sleep(random.uniform(0.4, 1.0))
                self.daemon.kill9()
                seen = max(writer.revision for writer in writers)
                self.daemon.start()
                revision = int(self.api.list_with_revision("configmaps", "default")[1])
                self.assertGreaterEqual(revision, max(seen, highest), "revisions went back")
                highest = revision
        finally:
            for writer in writers:
                writer.stop.set()
            for writer in writers:
                writer.join(20)
        problems = [problem for writer in writers for problem in writer.problems]
        self.assertEqual(problems, [])
        for writer in writers:
            writer.api.close()
            writer.settle()
        stored = {item["metadata"]["name"]: item["data"]["v"] for item in self.api.list("configmaps", "default")
                  if item["metadata"]["name"].startswith("w")}
        known = {}
        for writer in writers:
            known.update(writer.known)
        self.assertEqual(stored, known)
        self.assertEqual([problem for writer in writers for problem in writer.problems], [])
        writes = sum(writer.writes for writer in writers)
        self.note(f"{writes} acknowledged writes, {ROUNDS} kills")
        self.assertGreater(writes, 500)


class Restarts(ClusterCase):
    with_node = False

    def test_objects_and_revisions_outlive_a_restart(self):
        made = self.api.create("configmaps", self.ns, {"metadata": {"name": "kept"}, "data": {"a": "b"}})
        before = int(self.api.list_with_revision("configmaps")[1])
        self.assertEqual(self.daemon.terminate(), 0)
        took = self.daemon.start()
        self.assertEqual(self.api.get("configmaps", self.ns, "kept")["metadata"]["uid"], made["metadata"]["uid"])
        self.assertGreaterEqual(int(self.api.list_with_revision("configmaps")[1]), before)
        self.note(f"ready {took * 1000:.0f} ms after the start")

    def test_an_old_revision_gets_410_after_a_restart(self):
        revision = self.api.list_with_revision("configmaps")[1]
        for number in range(3):
            self.api.create("configmaps", self.ns, {"metadata": {"name": f"n{number}"}})
        self.daemon.kill9()
        self.daemon.start()
        with self.assertRaises(ApiError) as caught:
            for _ in self.api.watch("configmaps", "", revision, time.monotonic() + 3):
                pass
        self.assertEqual(caught.exception.code, 410)

    def test_the_data_dir_tells_strangers_nothing(self):
        for name in ("admin.kubeconfig",):
            mode = os.stat(os.path.join(self.daemon.data_dir, name)).st_mode & 0o777
            self.assertEqual(mode & 0o077, 0, name)
        for folder, _, names in os.walk(self.daemon.data_dir):
            for name in names:
                if name.endswith((".key", "-key.pem", ".db")):
                    path = os.path.join(folder, name)
                    self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)


class DataDirectory(unittest.TestCase):
    """A directory that was there before the daemon."""

    def setUp(self):
        self.daemon = Daemon(BIN, with_node=False)
        self.addCleanup(self.daemon.destroy)
        os.mkdir(self.daemon.data_dir)
        os.chmod(self.daemon.data_dir, 0o755)

    def mode(self) -> int:
        return os.stat(self.daemon.data_dir).st_mode & 0o7777

    def test_an_empty_one_is_closed_to_others(self):
        self.daemon.start()
        self.assertEqual(self.mode(), 0o700)
        # One that was opened meanwhile, too: it holds the daemon's own files alone.
        self.daemon.terminate()
        os.chmod(self.daemon.data_dir, 0o750)
        self.daemon.start()
        self.assertEqual(self.mode(), 0o700)

    def test_one_with_others_files_is_left_with_a_warning(self):
        os.mkdir(self.daemon.data_dir + "/holiday-pictures")
        self.daemon.start()
        self.assertEqual(self.mode(), 0o755)
        self.assertIn("others may enter the data directory", self.daemon.log_tail())


@need_moth
class Backup(unittest.TestCase):
    def test_a_copy_of_the_running_store_is_a_store(self):
        daemon = Daemon(BIN, with_node=False)
        self.addCleanup(daemon.destroy)
        daemon.start()
        made = daemon.api.create("configmaps", "default", {"metadata": {"name": "kept"}, "data": {"a": "x" * 700_000}})
        copy = daemon.folder + "/copy.db"
        self.assertIn(f"{copy} written (", daemon.moth("node", "backup", copy).stdout)
        self.assertEqual(os.stat(copy).st_mode & 0o777, 0o600)
        self.assertEqual([name for name in os.listdir(daemon.data_dir) if name.startswith("backup")], [])
        again = daemon.moth("node", "backup", copy, check=False)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("File exists", again.stderr)
        # Back to it: what was written since is gone, what was there before is there.
        daemon.api.delete("configmaps", "default", "kept")
        daemon.terminate()
        for name in os.listdir(daemon.data_dir):
            if name.startswith("state.db"):
                os.unlink(os.path.join(daemon.data_dir, name))
        os.rename(copy, os.path.join(daemon.data_dir, "state.db"))
        daemon.start()
        self.assertEqual(daemon.api.get("configmaps", "default", "kept")["metadata"]["uid"], made["metadata"]["uid"])


if __name__ == "__main__":
    unittest.main()
