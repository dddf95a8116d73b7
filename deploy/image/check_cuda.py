"""Names what CUDA computing lacks in this container, before an engine fails on it in the middle of its start.

CTranslate2 opens ``libcublas.so.12`` when it first multiplies, torch is linked to CUDA 13; the image carries both. The
driver's ``libcuda.so.1`` comes from the machine, through NVIDIA's container toolkit.
"""

from __future__ import annotations

import argparse
import ctypes
import sys

_DRIVER = "libcuda.so.1"
_LIBRARIES = {
    "libcublas.so.12": "of CUDA 12, for Whisper: nvidia-cublas-cu12",
    "libcublasLt.so.12": "of CUDA 12, for Whisper: nvidia-cublas-cu12",
}


def missing_libraries() -> list[str]:
    """What the image itself should have and cannot load, each with the reason."""
    missing = [f"{why} ({whose})" for name, whose in _LIBRARIES.items() if (why := _why_not(name))]
    try:
        import torch  # noqa: PLC0415 - takes seconds
    except (ImportError, OSError) as err:
        return [*missing, f"torch: {err}"]
    if torch.version.cuda is None:
        missing.append("torch: this build of it has no CUDA; build the image with TORCH_BACKEND=locked")
    elif torch.backends.cudnn.version() is None:
        missing.append("libcudnn.so.9 (for torch)")
    return missing


def missing_driver() -> str | None:
    """Why there is no GPU to compute on; ``None`` where there is one."""
    if why := _why_not(_DRIVER):
        return f"{why}; start the container with --gpus all (needs NVIDIA's driver and container toolkit)"
    driver = ctypes.CDLL(_DRIVER)
    count = ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if failed:
        return f"the NVIDIA driver answers with error {failed} (CUresult)"
    if not count.value:
        return "the NVIDIA driver sees no GPU"
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    if version.value < 13000:
        return (
            f"the NVIDIA driver is for CUDA {version.value // 1000}.{version.value % 1000 // 10}, torch needs one for "
            "CUDA 13: version 580 or newer"
        )
    return None


def main() -> int:
    """Print what is missing; status 1 where the wanted device cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("auto", "cuda"), default="cuda")
    parser.add_argument("--without-driver", action="store_true", help="look at the image's own libraries only")
    wanted = parser.parse_args()
    broken = missing_libraries()
    driver = None if wanted.without_driver else missing_driver()
    for problem in [*broken, *([driver] if driver else [])]:
        _say(problem)
    if broken or (driver and wanted.device == "cuda"):
        return 1
    if driver:
        _say("DEVICE is auto: going on with the processor")
    return 0


def _say(what: str) -> None:
    print(f"parlante: CUDA: {what}", file=sys.stderr)  # noqa: T201


def _why_not(library: str) -> str | None:
    try:
        ctypes.CDLL(library)
    except OSError as err:
        return str(err)
    return None


if __name__ == "__main__":
    sys.exit(main())
