import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest, multiprocess, values
from scoter import hooks, worker_id

os.makedirs(os.environ["PROMETHEUS_MULTIPROC_DIR"], exist_ok=True)

# Files are named for the worker's number, which its successor takes over, and not for the process. Before the
# first metric. (0 is the launcher that imports this with --preload.)
values.ValueClass = values.MultiProcessValue(process_identifier=lambda: worker_id() or 0)


@hooks.on_worker_exit
def forget_gauges():
    """Removes the live gauges of this number: nothing of what they tell is alive any more."""
    multiprocess.mark_process_dead(worker_id())


# So does the successor of a worker that was killed, before it makes its own.
if worker_id() is None:
    hooks.post_fork(forget_gauges)
else:
    forget_gauges()

ORDERS = Counter("shop_orders", "Orders received.", ["article"])
PACKING = Gauge("shop_packing", "Orders being packed now.", multiprocess_mode="livesum")


def scrape():
    """Returns the metrics of all workers, and their content type."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST
