FROM python:3.13-slim-trixie
RUN apt-get update && apt-get install --yes gcc
COPY requirements.txt /
RUN pip install -r /requirements.txt uwsgi
WORKDIR /srv/shop
COPY . .
USER www-data
ENV UWSGI_SOCKET=0.0.0.0:9000 UWSGI_MODULE=shop.wsgi UWSGI_MASTER=1 UWSGI_PROCESSES=2 UWSGI_THREADS=4
CMD ["uwsgi"]
