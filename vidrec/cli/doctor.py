"""The verb that looks at the machine."""

import dataclasses
import json

from vidrec.cli.options import add_verb

HELP = (
    "checks this machine and says what to type: Python, packages, OpenCV, GPU, disk, weights. "
    "Exit code 0: nothing stops vidrec; 1: an error does"
)


def doctor(options):
    from vidrec.doctor.examination import examine, verdict

    found = []
    for finding in examine([options.data or ".", options.out or "."]):
        found.append(finding)
        if not options.json:
            print(finding.told(), flush=True)
    text, code = verdict(found)
    print(json.dumps([dataclasses.asdict(each) for each in found]) if options.json else text)
    return code


def add(verbs):
    """Adds this verb."""
    new = add_verb(verbs, "doctor", doctor, HELP)
    new.add_argument("--data", help="folder where frames and flow will be, default this one")
    new.add_argument("--out", help="folder where runs will be, default this one")
    new.add_argument("--json", action="store_true", help="a list of findings for programs")
