"""``python -m tiktokactions``: the same as the ``tiktokactions`` command."""

import sys

from tiktokactions.cli import main

if __name__ == "__main__":
    sys.exit(main())
