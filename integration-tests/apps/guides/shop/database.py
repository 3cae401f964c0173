import os

from scoter import hooks
from sqlalchemy import create_engine

engine = create_engine(os.environ["DATABASE_URL"])


@hooks.post_fork
def forget_connections():
    """With --preload: connections that the import has opened stay the launcher's."""
    engine.dispose(close=False)
