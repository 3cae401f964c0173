FROM python:3.13-slim-trixie AS build
RUN apt-get update && apt-get install --yes cargo
COPY scoter /scoter
RUN pip wheel --no-deps --wheel-dir /wheels /scoter/crates/scoter

FROM python:3.13-slim-trixie
COPY --from=build /wheels /wheels
COPY requirements.txt /
RUN pip install -r /requirements.txt /wheels/*.whl
WORKDIR /srv/shop
COPY . .
USER www-data
ENV UWSGI_SOCKET=0.0.0.0:9000 UWSGI_MODULE=shop.wsgi UWSGI_MASTER=1 UWSGI_PROCESSES=2 UWSGI_THREADS=4
ENV SCOTER_ALLOW=172.16.0.0/12 SCOTER_CONTROL=/tmp/scoter.control
CMD ["scoter", "uwsgi"]
