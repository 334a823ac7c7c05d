"""qvk as the Vulkan backend of an installed ExecuTorch. QVK_TEST_GOLDEN names the golden files; needs torch and executorch."""
import ctypes
import os
import shutil
import tempfile
import threading
import unittest
from pathlib import Path

import numpy as np
import torch

import qvk.executorch
from executorch.runtime import Runtime

GOLDEN = Path(os.environ["QVK_TEST_GOLDEN"])
CASES, PROGRAMS = GOLDEN / "cases", GOLDEN / "programs"
RELATIVE = 2e-3  # of the largest output: float32 sums in another order
NAMES = ["linear_0_4w_g32", "linear_1_8da4w_g32", "linear_3_8da8w_pc", "linear_mlp3d_8w_g32"]


def array(name: str, what: str) -> torch.Tensor:
    return torch.from_numpy(np.load(CASES / f"{name}.{what}_0.npy"))


def method_of(name: str):
    program = Runtime.get().load_program(str(CASES / f"{name}.pte"))
    return program.load_method("forward")


def error_of(method, name: str) -> float:
    want = array(name, "out")
    got = method.execute([array(name, "in")])[0]
    return float((got - want).abs().max() / want.abs().max())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def mapped_parts(path: Path) -> int:
    """How many pieces of the file ExecuTorch's runtime has mapped into memory, locked there where it may."""
    return sum(line.rstrip().endswith(path.name) for line in Path("/proc/self/maps").read_text().splitlines())


class ExecuTorch(unittest.TestCase):
    def test_is_registered(self):
        self.assertIn("VulkanBackend", Runtime.get().backend_registry.registered_backend_names)

    def test_a_second_backend_stays_out(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(os.environ["QVK_EXECUTORCH_LIBRARY"], folder)
            second = ctypes.CDLL(copy)
        second.qvk_executorch_is_registered.restype = ctypes.c_bool
        self.assertFalse(second.qvk_executorch_is_registered())
        self.assertLessEqual(error_of(method_of(NAMES[0]), NAMES[0]), RELATIVE)

    def test_damaged_programs_are_errors(self):
        data = bytearray((CASES / f"{NAMES[0]}.pte").read_bytes())
        blob = data.index(b"VK00") - 4  # the delegate's flatbuffer: offset of its root table
        data[blob : blob + 4] = b"\xff\xff\xff\x7f"
        program = Runtime.get().load_program(bytes(data))
        with self.assertRaises(RuntimeError):
            program.load_method("forward")

    def test_golden_cases(self):
        for name in NAMES:
            with self.subTest(name):
                self.assertLessEqual(error_of(method_of(name), name), RELATIVE)

    def test_sizes_change_between_calls(self):
        path = PROGRAMS / "dynamic.pte"
        method = Runtime.get().load_program(str(path)).load_method("forward")
        reference = qvk.load(path, device="cpu")
        for rows in (16, 3, 1, 9, 16):
            x = torch.linspace(-1, 1, rows * 8).reshape(rows, 8)
            got = method.execute([x])[0]
            self.assertEqual(tuple(got.shape), (2 * rows, 2))
            torch.testing.assert_close(got, torch.from_numpy(reference.forward(x)))

    def test_each_program_keeps_its_own_state(self):
        path = str(PROGRAMS / "buffer_alias.pte")
        first, second = (Runtime.get().load_program(path).load_method("forward") for _ in range(2))
        x = torch.tensor([1.0, 2.0, 3.0, 4.0])
        sums = [first.execute([x])[0].clone() for _ in range(3)]
        self.assertGreater(float((sums[1] - sums[0]).abs().min()), 0)
        torch.testing.assert_close(sums[2] - sums[1], sums[1] - sums[0])
        torch.testing.assert_close(second.execute([x])[0], sums[0])

    def test_two_programs_take_turns(self):
        methods = {name: method_of(name) for name in NAMES}
        for _ in range(3):
            for name, method in methods.items():
                self.assertLessEqual(error_of(method, name), RELATIVE)

    def test_two_programs_at_once(self):
        worst = {}

        def work(name):
            method = method_of(name)
            worst[name] = max(error_of(method, name) for _ in range(20))

        threads = [threading.Thread(target=work, args=(name,)) for name in NAMES[:2]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(worst), set(NAMES[:2]))
        self.assertLessEqual(max(worst.values()), RELATIVE)

    def test_weights_are_given_back_once_they_are_on_the_device(self):
        path = CASES / f"{NAMES[1]}.pte"
        method = method_of(NAMES[1])
        while_loaded = mapped_parts(path)
        self.assertLessEqual(error_of(method, NAMES[1]), RELATIVE)
        self.assertGreater(while_loaded, 0)  # the program itself
        self.assertLessEqual(while_loaded, 2)  # and its delegate

    def test_memory_stays_flat(self):
        name = NAMES[1]
        for _ in range(20):
            error_of(method_of(name), name)
        before = resident_bytes()
        for _ in range(200):
            error_of(method_of(name), name)
        self.assertLess(resident_bytes() - before, 8 << 20)


if __name__ == "__main__":
    unittest.main()
