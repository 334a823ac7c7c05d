"""Builds the wheel: meson builds the library and the command in the parent folder, and they are packed with the package.

The ExecuTorch backend goes in too where the Python that installs has an `executorch` package, build isolation or not.
PEP 517; standard library only. Settings (pip install --config-settings=name=value): builddir, the folder meson builds in (default
build-wheel in the parent; kept, so that the next build is quick), jobs, and executorch, the package's folder ("" leaves it out).
"""
from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent
NAME = "qvk"
PREFIX = "/qvk"  # of the scratch installation only

METADATA = """\
Metadata-Version: 2.1
Name: qvk
Version: {version}
Summary: Quantize PyTorch programs and run them on any Vulkan GPU
License: BSD-3-Clause
Requires-Python: >=3.9
Requires-Dist: numpy>=1.23
Description-Content-Type: text/markdown

{readme}"""

WHEEL = """\
Wheel-Version: 1.0
Generator: qvk
Root-Is-Purelib: false
Tag: {tag}
"""


def run(*command) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=SOURCE, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout[-8000:]}\nbuild_backend.py: this failed: {' '.join(words)}")
    return done.stdout


def find_executorch() -> str:
    """Of the installing Python itself: -I sees past pip's build isolation."""
    code = "import importlib.util as u; s = u.find_spec('executorch'); print(*(list(s.submodule_search_locations)[:1] if s else []))"
    folder = run(sys.executable, "-I", "-c", code).strip()
    return folder if folder and Path(folder, "lib", "libexecutorch.so").exists() else ""


def build(settings: dict) -> tuple[Path, str]:
    """A scratch installation of the project, and its version."""
    if not (SOURCE / "meson.build").exists():
        sys.exit(f"build_backend.py: {SOURCE} is not qvk's source: install from a whole checkout with `pip install ./python`")
    folder = Path(settings.get("builddir") or SOURCE / "build-wheel").resolve()
    executorch = settings["executorch"] if "executorch" in settings else find_executorch()
    options = [f"--prefix={PREFIX}", "--libdir=lib", "--bindir=bin", "-Dbuildtype=release", "-Dstrip=true", "-Dwerror=false", f"-Dexecutorch={executorch}"]
    options += ["-Dtests=disabled", "-Dbench=false", "-Dexamples=false"]
    again = ["--reconfigure"] if (folder / "build.ninja").exists() else []
    print(run("meson", "setup", *again, *options, folder, SOURCE))
    run("ninja", "-C", folder, *(["-j", settings["jobs"]] if "jobs" in settings else []))
    stage = Path(tempfile.mkdtemp(prefix="qvk-wheel-"))
    run("meson", "install", "-C", folder, "--no-rebuild", "--destdir", stage)
    return stage, json.loads(run("meson", "introspect", "--projectinfo", folder))["version"]


def tag() -> str:
    return "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")


class Wheel:
    """A wheel being written; closing it adds the record."""

    def __init__(self, path: Path, info: str):
        self.zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self.info, self.record = info, []

    def write(self, name: str, data: bytes, mode: int) -> None:
        entry = zipfile.ZipInfo(name)  # dated 1980: the same input gives the same wheel
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self.zip.writestr(entry, data)

    def add(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self.write(name, data, mode)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.record.append(f"{name},sha256={digest},{len(data)}\n")

    def close(self) -> None:
        name = f"{self.info}/RECORD"
        self.write(name, ("".join(self.record) + f"{name},,\n").encode(), 0o644)
        self.zip.close()


def metadata(version: str) -> bytes:
    return METADATA.format(version=version, readme=(HERE / "README.md").read_text()).encode()


def pack(wheel: Wheel, stage: Path, version: str) -> None:
    root = stage / PREFIX.strip("/")
    for path in sorted((HERE / NAME).glob("*.py")) + [HERE / NAME / "py.typed"]:
        wheel.add(f"{NAME}/{path.name}", path.read_bytes())
    wheel.add(f"{NAME}/lib/libqvk.so.0", (root / "lib" / "libqvk.so.0").read_bytes(), 0o755)
    backend = root / "lib" / "libqvk_executorch.so"
    if backend.exists():
        wheel.add(f"{NAME}/lib/{backend.name}", backend.read_bytes(), 0o755)
    wheel.add(f"{NAME}-{version}.data/scripts/qvk", (root / "bin" / "qvk").read_bytes(), 0o755)
    wheel.add(f"{wheel.info}/METADATA", metadata(version))
    wheel.add(f"{wheel.info}/WHEEL", WHEEL.format(tag=tag()).encode())
    wheel.add(f"{wheel.info}/LICENSE", (SOURCE / "LICENSE").read_bytes())


# ---- PEP 517 ----------------------------------------------------------------------------------------------------------


def get_requires_for_build_wheel(config_settings=None) -> list[str]:
    """The system's tools do; what is missing comes from PyPI."""
    return [tool for tool in ("meson", "ninja") if not shutil.which(tool)]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None) -> str:
    stage, version = build(dict(config_settings or {}))
    try:
        name = f"{NAME}-{version}-{tag()}.whl"
        wheel = Wheel(Path(wheel_directory, name), f"{NAME}-{version}.dist-info")
        pack(wheel, stage, version)
        wheel.close()
        return name
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def build_sdist(sdist_directory, config_settings=None) -> str:
    raise NotImplementedError("the source distribution is the repository: install from a checkout")
