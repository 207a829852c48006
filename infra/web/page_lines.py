"""What the lines mean that the child process of `page_reading.py` writes: `[page, what was read]`, as JSON."""

READY = -1
"""In place of a page's number: all plain texts were written, and articles follow."""
