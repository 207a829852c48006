"""`holdfast sandbox-packages`: installs what the code of code_interpreter may import. `holdfast up` runs it beside."""

import sys

from cli.output import say
from cli.tied_to_parent import tie
from infra.errors import StartFailed
from infra.sandbox.bubblewrap import find_interpreter
from infra.sandbox.packages import Packages, PackagesNotInstalled
from infra.settings import Settings
from models.code_cells import PackageState


class PackagesMissing(StartFailed):
    """The packages of the code interpreter cannot be installed."""


def install_packages(settings: Settings) -> None:
    """Return when they are installed. Raises `PackagesMissing`."""
    if sys.platform != "linux":
        return
    packages = Packages.of(find_interpreter(), settings.sandbox_packages, settings.sandbox_packages_dir)
    if packages.state()[0] is PackageState.READY:
        return
    say(f"Installing the packages of the code interpreter into {packages.folder}, which can take some minutes.")
    try:
        packages.install(tie())
    except PackagesNotInstalled as error:
        raise PackagesMissing(
            f"The packages of the code interpreter cannot be installed: {error}. Correct HOLDFAST_SANDBOX_PACKAGES or "
            "uv's settings of its package index."
        ) from error
    say("The packages of the code interpreter are installed.")
