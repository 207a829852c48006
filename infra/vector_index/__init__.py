"""The indexes of chunks, of which a search finds the nearest and those with its words."""

import os

# Before numpy is imported: its own threads wait for one another by spinning, which takes as long again as the work.
# Searches run in threads of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
