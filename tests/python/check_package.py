"""The Python package against the golden cases: QVK_LIBRARY and QVK_TEST_GOLDEN say where things are. Needs numpy only."""
import os
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import numpy as np

import qvk

GOLDEN = Path(os.environ["QVK_TEST_GOLDEN"])
CASES = GOLDEN / "cases"
RELATIVE = 2e-3  # of the largest output: float32 sums in another order


def case(name: str):
    return CASES / f"{name}.pte", np.load(CASES / f"{name}.in_0.npy"), np.load(CASES / f"{name}.out_0.npy")


class Package(unittest.TestCase):
    def close(self, got, want):
        self.assertEqual(got.shape, want.shape)
        self.assertEqual(got.dtype, want.dtype)
        self.assertLessEqual(np.abs(got - want).max(), RELATIVE * np.abs(want).max())

    def test_imports_numpy_only(self):
        self.assertNotIn("torch", sys.modules)
        self.assertRegex(qvk.__version__, r"^\d+\.\d+\.\d+")

    def test_three_lines_run_a_program(self):
        path, x, want = case("linear_1_8da4w_g32")
        module = qvk.load(path, device="cpu")
        self.close(module.forward(x), want)

    def test_inputs_that_are_not_contiguous(self):
        path, x, want = case("linear_1_8da4w_g32")
        self.close(qvk.load(path, device="cpu").forward(np.asfortranarray(x)), want)

    def test_anything_with_dlpack(self):
        class Foreign:
            def __init__(self, array):
                self.array = array

            def __dlpack__(self, *args, **kwargs):
                return self.array.__dlpack__(*args, **kwargs)

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()

        path, x, want = case("linear_0_4w_g32")
        self.close(qvk.load(path, device="cpu").forward(Foreign(x)), want)

    def test_results_outlive_the_next_call_and_the_module(self):
        path, x, want = case("linear_1_8da4w_g32")
        module = qvk.load(path, device="cpu")
        first = module.forward(x)
        module.forward(np.zeros_like(x))
        del module
        self.close(first, want)

    def test_errors_are_exceptions_with_the_status(self):
        with self.assertRaises(qvk.QvkError) as caught:
            qvk.load(CASES / "there_is_none.pte", device="cpu")
        self.assertEqual(caught.exception.status, "NOT_FOUND")
        with tempfile.NamedTemporaryFile(suffix=".pte") as file:
            file.write(b"no program at all" * 10)
            file.flush()
            with self.assertRaises(qvk.QvkError) as caught:
                qvk.load(file.name, device="cpu")
        self.assertEqual(caught.exception.status, "BAD_FORMAT")
        with self.assertRaises(qvk.QvkError) as caught:
            qvk.load(case("linear_0_4w_g32")[0], device="no such device")
        self.assertEqual(caught.exception.status, "NO_DEVICE")

    def test_wrong_inputs(self):
        path, x, _ = case("linear_1_8da4w_g32")
        module = qvk.load(path, device="cpu")
        with self.assertRaises(TypeError):
            module.forward()
        with self.assertRaises(TypeError):
            module.forward(x, x)
        with self.assertRaises(TypeError):
            module.forward(np.array(["text"]))
        with self.assertRaises(qvk.QvkError) as caught:
            module.forward(x.astype(np.int8))
        self.assertEqual(caught.exception.status, "INPUT_MISMATCH")

    def test_inspect(self):
        self.assertIn("methods", qvk.inspect(case("linear_0_4w_g32")[0]))

    def test_devices_are_devices(self):
        for index, device in enumerate(qvk.devices()):
            self.assertEqual(device.index, index)
            self.assertTrue(device.name)

    def test_best_device_where_there_is_one(self):
        if not qvk.devices():
            self.skipTest("no Vulkan device")
        path, x, want = case("linear_mlp3d_8w_g32")
        self.close(qvk.load(path).forward(x), want)

    def test_two_modules_on_two_threads(self):
        outcomes = {}

        def work(name):
            path, x, want = case(name)
            module = qvk.load(path, device="cpu")
            outcomes[name] = [np.abs(module.forward(x) - want).max() / np.abs(want).max() for _ in range(20)]

        names = ["linear_1_8da4w_g32", "linear_0_4w_g32"]
        threads = [threading.Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in names:
            self.assertEqual(len(outcomes[name]), 20)
            self.assertLessEqual(max(outcomes[name]), RELATIVE)


if __name__ == "__main__":
    unittest.main()
