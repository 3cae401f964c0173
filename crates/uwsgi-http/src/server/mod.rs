//! A tower service behind a front end that speaks uwsgi.
