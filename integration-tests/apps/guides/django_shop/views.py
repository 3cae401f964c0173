import os

from django.db import connection
from django.http import HttpResponse, JsonResponse
from shop import metrics


def show_metrics(request):
    body, content_type = metrics.scrape()
    return HttpResponse(body, content_type=content_type)


def order(request, article):
    metrics.ORDERS.labels(article).inc()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"own connection": connection.opened_by == os.getpid()})


def seen(request):
    """What Django knows of the request."""
    return JsonResponse(
        {
            "url": request.build_absolute_uri(),
            "secure": request.is_secure(),
            "client": request.META["REMOTE_ADDR"],
        }
    )


def broken(request):
    return JsonResponse({"sum": 1 / 0})

