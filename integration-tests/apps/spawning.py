"""Has other processes work for it, which multiprocessing starts anew: `QUERY_STRING` says how."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from probe import plain


def square(number):
    return number * number, os.getpid()


def application(environ, start_response):
    with ProcessPoolExecutor(1, mp_context=get_context(environ["QUERY_STRING"])) as pool:
        result, pid = pool.submit(square, 12).result()
    assert pid != os.getpid()
    return plain(start_response, str(result))
