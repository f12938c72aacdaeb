"""``python -m numkan`` is the command ``numkan``."""

import sys

from numkan.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
