import os
import time

from flask import Flask, Response, request
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from shop import errors, metrics, tracing  # noqa: F401
from shop.database import engine
from sqlalchemy import event, text

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app, excluded_urls="/metrics")
app.wsgi_app = errors.with_request_id(app.wsgi_app)


@app.get("/metrics")
def show_metrics():
    text, content_type = metrics.scrape()
    return Response(text, content_type=content_type)


@app.post("/orders/<article>")
def order(article):
    metrics.ORDERS.labels(article).inc()
    with engine.connect() as connection:
        opened_by = connection.info["pid"]
    return {"own connection": opened_by == os.getpid()}


@app.get("/seen")
def seen():
    return {"url": request.url, "client": request.remote_addr, "secure": request.is_secure}


@app.get("/broken")
def broken():
    return {"sum": 1 / 0}


@app.get("/slow")
def slow():
    with metrics.PACKING.track_inprogress():
        while True:
            time.sleep(0.01)


@event.listens_for(engine, "connect")
def remember_process(connection, record):
    record.info["pid"] = os.getpid()


# As applications do that look at their database while they are imported.
with engine.connect() as connection:
    connection.execute(text("SELECT 1"))
