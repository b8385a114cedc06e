"""`python -m scrnn_stream` is the command `scrnn-stream`."""

import sys

from scrnn_stream.cli import main

sys.exit(main())
