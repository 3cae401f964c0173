from pyramid.paster import get_app, setup_logging

setup_logging("production.ini")
application = get_app("production.ini", "main")
