"""Answers with the request's token, while other threads do what they must not with the objects of that request.

They may be told off by exceptions, but what each client receives is its own.
"""

import queue
import random
import threading

handed_out = queue.SimpleQueue()


def misuse(seed):
    dice = random.Random(seed)
    while True:
        environ, start_response, write = handed_out.get()
        deeds = [
            lambda: environ["wsgi.input"].read(3),
            lambda: environ["wsgi.input"].readline(),
            lambda: environ["wsgi.errors"].write(""),
            lambda: environ["wsgi.errors"].flush(),
            lambda: environ.clear(),
            lambda: environ.update({"QUERY_STRING": "forged", "wsgi.input": None}),
            lambda: start_response("500 Forged", [("X-Token", "forged")]),
            lambda: write(b"forged"),
            lambda: list(environ),
        ]
        for _ in range(dice.randrange(6)):
            try:
                dice.choice(deeds)()
            except Exception:
                pass


threads = [threading.Thread(target=misuse, args=(seed,), daemon=True) for seed in range(3)]
for thread in threads:
    thread.start()


def application(environ, start_response):
    token = environ["QUERY_STRING"]
    body = token.encode()
    headers = [("X-Token", token), ("Content-Length", str(len(body)))]
    write = start_response("200 OK", headers)
    if len(token) % 2:
        write(body)
        # All of the response has been sent: nothing that another thread writes can become part of it.
        handed_out.put((environ, start_response, write))
        return []
    late = environ.copy()

    def chunks():
        yield body
        handed_out.put((late, start_response, write))

    return chunks()
