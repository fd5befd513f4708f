"""What pyproject.toml cannot say: nothing of an earlier build gets into this one.

setuptools copies into build/lib and packs all that lies there, also what has been renamed or
removed since. `pip install .` in a checkout that was updated would install both.
"""

import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class CleanBuild(build_py):
    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(cmdclass={"build_py": CleanBuild})
