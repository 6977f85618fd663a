"""`hrformer verify`: our networks, post-processing and training against reference arrays."""

import argparse
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hrformer.checkpoints.check import Check
    from hrformer.checkpoints.verify import Report

DESCRIPTION = """\
Runs every case of DIR/cases.json and DIR/units.json with weights made by the fill rule, in float32 on the
CPU, and compares every tensor that the folder stores; then the post-processing and the training, where DIR
has arrays for them. Nothing in DIR is executed.

Exit codes: 0 all passed, 1 one failed, 2 DIR is not in its format."""

COLUMNS = "{:<60} {:>9} {:>9}  {:<6}  {}"


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser(
        "hrformer verify", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--reference", metavar="DIR", type=Path, required=True, help="folder of the reference arrays"
    )
    p.add_argument(
        "--only",
        metavar="PATTERN",
        default="*",
        help="cases whose name matches (seg-*), or contains it where it has no wildcard",
    )
    # One by default: small float64 steps on two threads take minutes when something else wants the processor.
    p.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    p.add_argument("--json", action="store_true", help="print the reports with every tensor as JSON")
    return p


def main(argv: list[str]) -> int:
    """Prints a line for each case as it is done, then how many passed."""
    arguments = parser().parse_args(argv)
    from hrformer.checkpoints.verify import cpu_threads

    if not arguments.json:
        print(COLUMNS.format("case", "error", "tolerance", "", "worst at"))
    reports = []
    with cpu_threads(max(1, arguments.threads)):
        for report in _reports(arguments.reference, arguments.only):
            reports.append(report)
            if not arguments.json:
                print(_line(report), flush=True)
    if not reports:
        raise ValueError(f"no case of {arguments.reference} matches {arguments.only!r}")
    return _conclude(reports, arguments.json)


def _reports(directory: Path, only: str) -> "Iterator[Report]":
    from hrformer.checkpoints.reference import read_cases, read_units
    from hrformer.checkpoints.verify import Report, verify_case, verify_unit
    from hrformer.evaluation.verify import verify_postprocess
    from hrformer.training.verify import verify_training

    cases, units = read_cases(directory), read_units(directory)
    for case in cases:
        if _chosen(case.name, only):
            yield verify_case(case)
    for unit in units:
        if _chosen(unit.name, only):
            yield verify_unit(unit, directory / "units.npz")
    for group, verify in (("postprocess", verify_postprocess), ("training", verify_training)):
        if _chosen(group, only):
            yield from (Report(f"{group}: {check.name}", (check,)) for check in _checks(verify, directory))


def _checks(verify: "Callable[[Path], list[Check]]", directory: Path) -> "list[Check]":
    from hrformer.checkpoints.errors import BadReference

    try:
        return verify(directory)
    except (LookupError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadReference(f"an array file of {directory} is damaged or incomplete: {error}") from error


def _chosen(name: str, only: str) -> bool:
    return fnmatchcase(name, only) if any(wildcard in only for wildcard in "*?[") else only in name


def _line(report: "Report") -> str:
    verdict = "passed" if report.passed else "FAILED"
    worst = report.worst
    place = report.reason or (worst.name if len(report.checks) > 1 else "")
    return COLUMNS.format(
        report.name, f"{worst.error:.2e}", f"{worst.tolerance:.0e}", verdict, place
    ).rstrip()


def _conclude(reports: "list[Report]", as_json: bool) -> int:
    failed = [report.name for report in reports if not report.passed]
    if as_json:
        print(
            json.dumps({"passed": not failed, "reports": [_values(report) for report in reports]}, indent=2)
        )
    else:
        which = f"; FAILED: {', '.join(failed)}" if failed else ""
        print(f"{len(reports) - len(failed)} of {len(reports)} passed{which}")
    return 1 if failed else 0


def _values(report: "Report") -> dict[str, Any]:
    checks = [asdict(check) | {"passed": check.passed} for check in report.checks]
    for check in checks:
        check["error"] = check["error"] if math.isfinite(check["error"]) else None
    return {"name": report.name, "passed": report.passed, "reason": report.reason, "checks": checks}
