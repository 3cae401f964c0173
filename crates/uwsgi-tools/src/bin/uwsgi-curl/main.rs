//! uwsgi-curl

fn main() {}
