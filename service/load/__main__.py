"""`python -m service.load`."""

import sys

from service.load.command import main

if __name__ == "__main__":
    sys.exit(main())
