//! Requests to a uwsgi server.
