from opentelemetry.instrumentation.pyramid import PyramidInstrumentor
from pyramid.config import Configurator
from pyramid.response import Response
from shop import errors, metrics, tracing  # noqa: F401

PyramidInstrumentor().instrument()


def show_metrics(request):
    body, content_type = metrics.scrape()
    return Response(body, headerlist=[("Content-Type", content_type)])


def order(request):
    metrics.ORDERS.labels(request.matchdict["article"]).inc()
    return {"article": request.matchdict["article"]}


def seen(request):
    """What Pyramid knows of the request."""
    return {"url": request.url, "secure": request.scheme == "https", "client": request.client_addr}


def broken(request):
    return {"sum": 1 / 0}


def main(global_config, **settings):
    """What production.ini names with `use = egg:shop`, or with `use = call:shop.pyramid_app:main`."""
    with Configurator(settings=settings) as config:
        config.add_route("metrics", "/metrics")
        config.add_route("order", "/orders/{article}", request_method="POST")
        config.add_route("seen", "/seen")
        config.add_route("broken", "/broken")
        config.add_view(show_metrics, route_name="metrics")
        config.add_view(order, route_name="order", renderer="json")
        config.add_view(seen, route_name="seen", renderer="json")
        config.add_view(broken, route_name="broken", renderer="json")
        return errors.with_request_id(config.make_wsgi_app())
