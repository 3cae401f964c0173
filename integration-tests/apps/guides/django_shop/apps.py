import os

from django.apps import AppConfig
from django.db import connection
from django.db.backends.signals import connection_created
from probe import event


class Shop(AppConfig):
    name = "django_shop"

    def ready(self):
        """Looks at the database while it is imported, as applications should not and do."""
        connection_created.connect(report)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def report(connection, **_):
    connection.opened_by = os.getpid()
    event("connection opened")
