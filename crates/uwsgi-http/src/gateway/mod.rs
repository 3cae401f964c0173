//! HTTP in front of a uwsgi server.
