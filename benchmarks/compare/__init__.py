"""Measures scoter against uWSGI, gunicorn and granian, and writes what came out; see ../README.md."""
