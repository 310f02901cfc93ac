"""`understudy doctor`: what is wrong, and what to do about it, a line for each thing looked at."""

from dataclasses import asdict

from services.console import show
from services.console.refused import Refused
from services.console.show import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Look at everything that the product stands on. Ends with 1 where something is not as it has to be."""
    # Here, because the drivers of Kafka and MongoDB take longer to load than any other verb to run.
    from services.console.findings import everything

    findings = []
    for finding in everything():
        findings.append(finding)
        if not as_json:
            show.line(f"{'ok' if finding.ok else 'BAD':<4} {finding.name}: {finding.text}")
    if as_json:
        show.as_json([asdict(finding) for finding in findings])
    bad = sum(not finding.ok for finding in findings)
    if bad:
        raise Refused(f"{bad} of {len(findings)} things are not as they have to be: see the lines that begin with BAD")
