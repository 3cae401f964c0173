def application(environ, start_response):
    body = f"Hello, {environ.get('REMOTE_ADDR', 'world')}!\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [body]
