"""Prints what a package needs on this machine, a line each, without the conditions: PACKAGE."""
import sys
from importlib.metadata import requires

from packaging.requirements import Requirement

for line in requires(sys.argv[1]) or []:
    requirement = Requirement(line)
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        requirement.marker = None
        print(requirement)
