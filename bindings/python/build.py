#!/usr/bin/env python3
"""Builds the library, generates its Python module and puts both into the package.

    python bindings/python/build.py [--release] [--library FILE] [--bindgen FILE]

Afterwards `bindings/python/src` on PYTHONPATH, or `pip install bindings/python`, gives the package `roomlet`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NATIVE = HERE / "src" / "roomlet" / "_native"

# What is wrong with the generated module, and how it is cured; each is there once.
PATCHES = [
    # A notice arrives on a thread of roomlet's, where `call_soon` does not wake an idle event loop: the callback that
    # nobody waits for any more would run on. And the event loop may be closed by then, which is no error: whoever would
    # hear of it is gone.
    (
        "    eventloop.call_soon(_uniffi_cancel_task, task)\n",
        "    _uniffi_tell(eventloop, _uniffi_cancel_task, task)\n",
    ),
    (
        "    eventloop.call_soon_threadsafe(_uniffi_set_future_result, future, poll_code)\n",
        "    _uniffi_tell(eventloop, _uniffi_set_future_result, future, poll_code)\n",
    ),
    (
        "def _uniffi_set_future_result(",
        """def _uniffi_tell(eventloop, callback, *args):
    try:
        eventloop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        if not eventloop.is_closed():
            raise

def _uniffi_set_future_result(""",
    ),
    # A callback that cannot run has to be answered all the same, or roomlet waits for it. And its coroutine is made when the
    # event loop takes its first step: one made before would be complained of as never awaited if the loop stops first.
    (
        """                _UniffiFfiConverterString.lower(repr(e)),
            )
    eventloop = _uniffi_get_event_loop()
    task = asyncio.run_coroutine_threadsafe(make_call_and_call_callback(), eventloop)
""",
        """                _UniffiFfiConverterString.lower(repr(e)),
            )
    eventloop = _uniffi_get_event_loop()
    task = _UniffiCallbackTask(make_call_and_call_callback)
    try:
        eventloop.call_soon_threadsafe(task.start)
    except RuntimeError as e:
        handle_error(
            _UniffiRustCallStatus.CALL_UNEXPECTED_ERROR,
            _UniffiFfiConverterString.lower(repr(e)),
        )
        return
""",
    ),
    (
        "def _uniffi_trait_interface_call_async_with_error(",
        """class _UniffiLateCoroutine(_UniffiCoroutine):
    def __init__(self, make):
        self._make = make
        self._made = None

    def _coroutine(self):
        if self._made is None:
            self._made = self._make()
        return self._made

    def send(self, value):
        return self._coroutine().send(value)

    def throw(self, *error):
        return self._coroutine().throw(*error)

    def close(self):
        if self._made is not None:
            self._made.close()

    def __await__(self):
        return self._coroutine().__await__()

class _UniffiCallbackTask:
    def __init__(self, make_coroutine):
        self._make_coroutine = make_coroutine
        self._task = None

    def start(self):
        self._task = asyncio.ensure_future(_UniffiLateCoroutine(self._make_coroutine))
        # What ends the program is raised by the event loop itself.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def done(self):
        return self._task is None or self._task.done()

    def cancel(self):
        self._task.cancel()

def _uniffi_trait_interface_call_async_with_error(""",
    ),
    (
        "import asyncio\n",
        "import asyncio\nfrom collections.abc import Coroutine as _UniffiCoroutine\n",
    ),
    # A call that is cancelled may have its result already, which nobody would free: a server would stay open for ever.
    (
        """            _uniffi_rust_call_with_error(error_ffi_converter, ffi_complete, rust_future)
        )
    finally:
""",
        """            _uniffi_rust_call_with_error(error_ffi_converter, ffi_complete, rust_future)
        )
    except asyncio.CancelledError:
        try:
            lift_func(_uniffi_rust_call_with_error(error_ffi_converter, ffi_complete, rust_future))
        except Exception:
            pass  # There is none, or it is an error.
        raise
    finally:
""",
    ),
    # What still waits when the interpreter ends is torn down with it: freeing the future would call back into Python,
    # which is half gone.
    (
        "async def _uniffi_rust_call_async(rust_future, ffi_poll, ffi_complete, ffi_free, lift_func, error_ffi_converter):\n",
        "async def _uniffi_rust_call_async(rust_future, ffi_poll, ffi_complete, ffi_free, lift_func, error_ffi_converter,"
        " is_finalizing=sys.is_finalizing):\n",
    ),
    (
        "    finally:\n        ffi_free(rust_future)\n",
        "    finally:\n        if not is_finalizing():\n            ffi_free(rust_future)\n",
    ),
]


def library_name() -> str:
    """The file name of the shared library on this system."""
    return {"darwin": "libroomlet.dylib", "win32": "roomlet.dll"}.get(sys.platform, "libroomlet.so")


def cargo_build(package: str, *options: str) -> None:
    """Builds one package of the workspace."""
    subprocess.run(["cargo", "build", "-p", package, *options], cwd=ROOT, check=True)


def generate(bindgen: Path, library: Path, out: Path) -> str:
    """The generated module, with its known defects cured."""
    command = [bindgen, "generate", "-n", library, "--language", "python", "--out-dir", out]
    subprocess.run(command, cwd=ROOT, check=True)
    module = (out / "roomlet.py").read_text()
    for defect, cure in PATCHES:
        if module.count(defect) != 1:
            sys.exit(f"build.py: expected {defect!r} once in the generated module; look whether the patch is still needed")
        module = module.replace(defect, cure)
    return module


def main() -> None:
    """Builds what was not given and installs it into the package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="store_true", help="build the library with optimisations")
    parser.add_argument("--library", type=Path, help="use this library instead of building it")
    parser.add_argument("--bindgen", type=Path, help="use this uniffi-bindgen instead of building it")
    options = parser.parse_args()

    profile = "release" if options.release else "debug"
    library = options.library or ROOT / "target" / profile / library_name()
    bindgen = options.bindgen or ROOT / "target" / "debug" / "uniffi-bindgen"
    if options.library is None:
        cargo_build("roomlet-ffi", *(["--release"] if options.release else []))
    if options.bindgen is None:
        cargo_build("roomlet-uniffi-bindgen")

    with tempfile.TemporaryDirectory() as out:
        module = generate(bindgen.resolve(), library.resolve(), Path(out))
    NATIVE.mkdir(exist_ok=True)
    (NATIVE / "__init__.py").write_text('"""The library and its generated module: made by build.py."""\n')
    (NATIVE / "bindings.py").write_text(module)
    # A new file, then a rename: a process that has the old library loaded keeps it.
    fresh = NATIVE / (library_name() + ".new")
    shutil.copyfile(library, fresh)
    fresh.replace(NATIVE / library_name())


if __name__ == "__main__":
    main()
