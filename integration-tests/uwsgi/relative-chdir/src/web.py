from inner import application  # noqa: F401
