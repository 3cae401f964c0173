//! uwsgi-dump

fn main() {}
