"""`python -m service` and `hrformer serve`: flags, environment and file → the running service."""

import os
import sys
from collections.abc import Sequence

from service.settings import SettingsError, read_settings
from service.settings_page import parse_flags

WRONG_USE = 2
# How often an OpenMP thread without work looks for some before it sleeps. By default that takes
# milliseconds, on a core that the next part of a batch wants.
SPINS = "10000"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 when the service could not start or failed, 2 for a setting that cannot be."""
    try:
        settings = read_settings(parse_flags(sys.argv[1:] if argv is None else argv))
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is loaded
        from service.server import serve

        return serve(settings)
    except SettingsError as error:
        print(f"hrformer serve: {error}", file=sys.stderr)  # noqa: T201  # one line for whoever typed it
        return WRONG_USE


if __name__ == "__main__":
    sys.exit(main())
