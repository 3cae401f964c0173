from scoter import hooks, worker_id


@hooks.post_fork
def post_fork():
    print(f"worker {worker_id()} is forked, the application is loaded")


@hooks.on_worker_start
def post_worker_init():
    print(f"worker {worker_id()} is about to take its first request")


@hooks.on_worker_exit
def worker_exit():
    print(f"worker {worker_id()} has served its last request")
