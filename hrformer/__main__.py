"""`python -m hrformer`: the command line, as `torchrun -m hrformer` starts it."""

import sys

from hrformer.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
