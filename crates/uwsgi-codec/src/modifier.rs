//! The known values of [`Header::modifier1`](crate::Header::modifier1).
//!
//! A web server sends [`WSGI`] unless told otherwise (nginx's
//! `uwsgi_modifier1`). The receiver interprets the value; the codec passes every
//! value through. Names and meanings follow uwsgi-docs, "The uwsgi
//! Protocol", and uWSGI's plugins; "m2" is
//! [`Header::modifier2`](crate::Header::modifier2).
//!
//! If a line below says that the block is not vars, this crate can read only the
//! [`Header`](crate::Header): decoding the packet reports malformed vars.

/// A request to a WSGI application.
pub const WSGI: u8 = 0;
/// A request to a PSGI (Perl) application.
pub const PSGI: u8 = 5;
/// A request to a Lua WSAPI application.
pub const LUA: u8 = 6;
/// A request to a Rack (Ruby) application.
pub const RACK: u8 = 7;
/// A request to a JVM application (JWSGI, Ring).
pub const JVM: u8 = 8;
/// A request to a CGI script.
pub const CGI: u8 = 9;
/// A request to the management interface; m2 is a flag.
pub const MANAGE: u8 = 10;
/// A request to a PHP script.
pub const PHP: u8 = 14;
/// A request to a Mono (ASP.NET) application.
pub const MONO: u8 = 15;
/// A job for the spooler.
pub const SPOOLER: u8 = 17;
/// A request to a function found by its symbol.
pub const SYMCALL: u8 = 18;
/// Code to evaluate; the block is the code, not vars.
pub const EVAL: u8 = 22;
/// A request to the XSLT transformer.
pub const XSLT: u8 = 23;
/// A request to a JavaScript (V8) application.
pub const V8: u8 = 24;
/// A request for a file in GridFS.
pub const GRIDFS: u8 = 25;
/// A request for a file in GlusterFS.
pub const GLUSTERFS: u8 = 26;
/// A call of the function with number m2; without vars.
pub const FASTFUNCS: u8 = 27;
/// A request for an object in Rados.
pub const RADOS: u8 = 28;
/// A request to a WSGI application mounted at `SCRIPT_NAME`, which the receiver
/// removes from the front of `PATH_INFO`. Deprecated; old nginx tutorials set it.
///
/// According to the documentation m2 extends `datasize` to 24 bits here. No web
/// server sends that, and this crate does not support it.
pub const WSGI_SCRIPT_NAME: u8 = 30;
/// A message made of vars.
pub const MESSAGE_VARS: u8 = 31;
/// A message made of bytes; the block is not vars.
pub const MESSAGE_BYTES: u8 = 32;
/// A message made of a marshalled object; the block is not vars.
pub const MESSAGE_MARSHAL: u8 = 33;
/// An SNMP message; the block is not vars.
pub const SNMP: u8 = 48;
/// Not a packet: the `H` of `HTTP/`, the start of the response to a request.
pub const HTTP_REPLY: u8 = 72;
/// An announcement to a cluster; the block is not vars.
pub const ANNOUNCE: u8 = 73;
/// A multicast message; the block is not vars.
pub const MULTICAST: u8 = 74;
/// A change of a cluster's members: m2 is 0 add, 1 remove, 2 enable, 3 disable.
pub const CLUSTER: u8 = 95;
/// A line for a remote log; the block is the line, not vars.
pub const REMOTE_LOG: u8 = 96;
/// A reload that cuts running requests: m2 is 0 demand, 1 confirmation.
pub const RELOAD_BRUTAL: u8 = 97;
/// A reload that lets requests finish: m2 is 0 demand, 1 confirmation.
pub const RELOAD: u8 = 98;
/// The configuration of a node: m2 is 0 question, 1 answer.
pub const CONFIG: u8 = 99;
/// A ping: m2 is 0 question, 1 answer; without vars.
pub const PING: u8 = 100;
/// A request to send the block back.
pub const ECHO: u8 = 101;
/// A message within a legion; the block is encrypted.
pub const LEGION: u8 = 109;
/// A signal with number m2; the block is an optional payload, not vars.
pub const SIGNAL: u8 = 110;
/// A cache operation: m2 is 0 read, 1 write, 2 delete, 3 named in the vars.
pub const CACHE: u8 = 111;
/// A signal to a router.
pub const ROUTER_SIGNAL: u8 = 123;
/// A remote procedure call; the block is an array without keys, not vars.
pub const RPC: u8 = 173;
/// The end of a persistent connection; without vars.
pub const CLOSE: u8 = 200;
/// The subscription of a server to a router.
pub const SUBSCRIBE: u8 = 224;
/// An answer whose meaning depends on the request; m2 is the result.
pub const RESPONSE: u8 = 255;
