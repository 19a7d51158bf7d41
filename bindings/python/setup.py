"""Tags the wheel with its platform: it carries a shared library, but works with any Python 3."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel

NATIVE = Path(__file__).parent / "src" / "roomlet" / "_native"

if not any(NATIVE.glob("*roomlet.*")):
    sys.exit("the library is not in the package: run `python bindings/python/build.py --release` first")


class PlatformWheel(bdist_wheel):
    """A wheel for one platform and any Python 3."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        platform = super().get_tag()[2]
        return "py3", "none", platform


setup(cmdclass={"bdist_wheel": PlatformWheel})
