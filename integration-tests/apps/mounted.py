"""Shows where it is mounted, and which application it is."""

import json
import os


def saying(name):
    def application(environ, start_response):
        keys = ["SCRIPT_NAME", "PATH_INFO", "REQUEST_URI"]
        body = json.dumps({"name": name, "greeting": os.environ.get("GREETING"), **{key: environ.get(key) for key in keys}})
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body.encode()]

    return application


app = saying("app")
shop = saying("shop")
admin = saying("admin")
