"""What the runners of tests say at their end about tests that passed only at the second try."""
import importlib.machinery
import importlib.util
import io
import contextlib
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

CTEST = """\
    Start 1: steady_test
1/6 Test #1: steady_test ......................   Passed    0.02 sec
2/6 Test #2: late_test ........................***Failed    0.01 sec
    Start 2: late_test
    Test #2: late_test ........................   Passed    0.00 sec
3/6 Test #3: crashed_once_test ................***Exception: SegFault  0.10 sec
4/6 Test #4: broken_test ......................***Failed    0.01 sec
    Test #3: crashed_once_test ................   Passed    0.20 sec
    Test #4: broken_test ......................***Failed    0.01 sec
5/6 Test  #5: slow_once_test ..................***Timeout 300.01 sec
    Test  #5: slow_once_test ..................   Passed   12.01 sec
6/6 Test  #6: skipped_test ....................***Skipped   0.00 sec
"""


def script(path: str):
    loader = importlib.machinery.SourceFileLoader(pathlib.Path(path).name, str(ROOT / path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def result(name: str, outcome: str) -> dict:
    return {"name": name, "outcome": outcome, "text": "", "seconds": 0.1}


class SecondTries(unittest.TestCase):
    def test_of_ctest(self):
        self.assertEqual(script("scripts/second_tries").second_tries(CTEST),
                         ["late_test", "crashed_once_test", "slow_once_test"])
        self.assertEqual(script("scripts/second_tries").second_tries(CTEST.splitlines()[1]), [])

    def test_of_the_end_to_end_tests(self):
        run = script("tests/e2e/run")
        first, second = run.Progress(4), run.Progress(2)
        with contextlib.redirect_stdout(io.StringIO()):
            for name, outcome in (("a", "passed"), ("late", "failed"), ("broken", "failed"), ("s", "skipped")):
                first.add(result(name, outcome))
            self.assertEqual(first.summary().splitlines()[-1], "1 passed, 2 failed, 1 skipped")
            second.add(result("late", "passed"))
            second.add(result("broken", "failed"))
        first.take_second_try(second)
        lines = first.summary().splitlines()
        self.assertEqual(lines[-1], "2 passed (1 only at the second try), 1 failed, 1 skipped")
        self.assertEqual(lines[lines.index("passed only at the second try:") + 1], "  late")
        self.assertEqual(lines[lines.index("failed:") + 1], "  broken")


if __name__ == "__main__":
    unittest.main()
