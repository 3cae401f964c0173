import os

from django.core.wsgi import get_wsgi_application
from django.db import connections
from opentelemetry.instrumentation.django import DjangoInstrumentor
from shop import errors, tracing  # noqa: F401

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_shop.settings")
DjangoInstrumentor().instrument()
application = errors.with_request_id(get_wsgi_application())

# With --preload: what the import has opened must not be shared by the workers.
connections.close_all()
