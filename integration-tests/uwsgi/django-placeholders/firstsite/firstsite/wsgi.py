from seen import application  # noqa: F401
