//! uwsgi-gateway

fn main() {}
