from lib_only import application  # noqa: F401
