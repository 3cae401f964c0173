//! The known values of [`Header::modifier1`](crate::Header::modifier1).
//!
//! A web server sends [`WSGI`] unless told otherwise (nginx's
//! `uwsgi_modifier1`). The receiver interprets the value; the codec passes every
//! value through. Names and meanings follow uwsgi-docs, "The uwsgi
//! Protocol", and the plugins of uWSGI 2.0.31; "m2" is
//! [`Header::modifier2`](crate::Header::modifier2).
//!
//! If a line below says that the block is not vars, read the packet as a
//! [`RawPacketRef`](crate::RawPacketRef): a decoder for vars reports malformed ones.
//! [`contents`] says it to programs.

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
/// A request to a Go application (gccgo).
pub const GO: u8 = 11;
/// A request to a PHP script.
pub const PHP: u8 = 14;
/// A request to a Mono (ASP.NET) application.
pub const MONO: u8 = 15;
/// A job for the spooler.
pub const SPOOLER: u8 = 17;
/// A request to a function found by its symbol.
pub const SYMCALL: u8 = 18;
/// A request for a page with server-side includes.
pub const SSI: u8 = 19;
/// Code to evaluate; the block is the code, not vars.
pub const EVAL: u8 = 22;
/// A request to the XSLT transformer.
pub const XSLT: u8 = 23;
/// A request to a JavaScript (V8) application.
pub const V8: u8 = 24;
/// A request for a file in GridFS.
pub const GRIDFS: u8 = 25;
/// A request for a file in GlusterFS; the plugin of uWSGI 2.0.31 has 27 instead.
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
/// A request to the WebDAV server.
pub const WEBDAV: u8 = 35;
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
/// A ping: m2 is 0 question, 1 answer. The question is empty, the answer too unless
/// the server has a warning, which is then the block.
pub const PING: u8 = 100;
/// A request to send the block back.
pub const ECHO: u8 = 101;
/// A message within a legion; the block is encrypted.
pub const LEGION: u8 = 109;
/// A signal with number m2; the block is an optional payload, not vars.
pub const SIGNAL: u8 = 110;
/// An operation on the cache; m2 says which, and what the block is.
///
/// | m2 | operation | block | answer |
/// |---|---|---|---|
/// | 0 | get | the key | four bytes, the bare value; nothing if absent |
/// | 1 | set | an array: key, value | nothing |
/// | 2 | delete | the key | nothing |
/// | 3, 4 | get | vars: `key` or `get` is the key | finds nothing; says so to `get`, by HTTP |
/// | 5 | get | the key | four bytes, the bare value if there is one |
/// | 6 | dump | the cache's name, or empty | a packet with vars (m2 7), the bare cache |
/// | 17 | any | vars: `cmd`, `key`, `size`, `expires`, `cache` | a packet with vars, the bare value; nothing if it failed |
///
/// Every answer ends with the connection. This is what uWSGI 2.0.31 does, whose
/// `cache.c` has two faults: the four bytes should be a header and are part of a
/// pointer, so skip them; and with m2 3 and 4 it looks for an empty key. With 17,
/// `cmd` is `get`, `exists`, `set`, `update`, `del` or `clear`; a value to be set follows
/// the packet, `size` bytes of it.
pub const CACHE: u8 = 111;
/// The configuration of a vassal, from its emperor; the block is text, not vars.
pub const EMPEROR_CONFIG: u8 = 115;
/// A signal to a router.
pub const ROUTER_SIGNAL: u8 = 123;
/// A remote procedure call. With m2 0 and 1 the block is an array: the function and its
/// arguments, none of them empty. The answer is the result, to m2 0 as the block of a
/// packet, to m2 1 bare. If it does not fit a packet, that has m2 5 and vars with its
/// `CONTENT_LENGTH`, and the bare result follows. With m2 2 to 4 it is a request by
/// HTTP, with vars.
pub const RPC: u8 = 173;
/// The end of a persistent connection; without vars.
pub const CLOSE: u8 = 200;
/// The subscription of a server to a router.
pub const SUBSCRIBE: u8 = 224;
/// Kept free for plugins of one's own: uWSGI's example in C++ has it.
pub const EXAMPLE: u8 = 250;
/// An answer whose meaning depends on the request; m2 is the result.
pub const RESPONSE: u8 = 255;

/// Returns the name of a `modifier1` as in this module, in lower case, such as
/// `wsgi`: a label for logs and metrics. `None` if it has no known meaning.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::modifier;
///
/// assert_eq!(modifier::name(modifier::PING), Some("ping"));
/// assert_eq!(modifier::name(1), None);
/// ```
#[must_use]
pub const fn name(modifier1: u8) -> Option<&'static str> {
    Some(match modifier1 {
        WSGI => "wsgi",
        PSGI => "psgi",
        LUA => "lua",
        RACK => "rack",
        JVM => "jvm",
        CGI => "cgi",
        MANAGE => "manage",
        GO => "go",
        PHP => "php",
        MONO => "mono",
        SPOOLER => "spooler",
        SYMCALL => "symcall",
        SSI => "ssi",
        EVAL => "eval",
        XSLT => "xslt",
        V8 => "v8",
        GRIDFS => "gridfs",
        GLUSTERFS => "glusterfs",
        FASTFUNCS => "fastfuncs",
        RADOS => "rados",
        WSGI_SCRIPT_NAME => "wsgi_script_name",
        MESSAGE_VARS => "message_vars",
        MESSAGE_BYTES => "message_bytes",
        MESSAGE_MARSHAL => "message_marshal",
        WEBDAV => "webdav",
        SNMP => "snmp",
        HTTP_REPLY => "http_reply",
        ANNOUNCE => "announce",
        MULTICAST => "multicast",
        CLUSTER => "cluster",
        REMOTE_LOG => "remote_log",
        RELOAD_BRUTAL => "reload_brutal",
        RELOAD => "reload",
        CONFIG => "config",
        PING => "ping",
        ECHO => "echo",
        LEGION => "legion",
        SIGNAL => "signal",
        CACHE => "cache",
        EMPEROR_CONFIG => "emperor_config",
        ROUTER_SIGNAL => "router_signal",
        RPC => "rpc",
        CLOSE => "close",
        SUBSCRIBE => "subscribe",
        EXAMPLE => "example",
        RESPONSE => "response",
        _ => return None,
    })
}

/// What the block of a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Contents {
    /// Keys and values: [`PacketRef`](crate::PacketRef) decodes it.
    Vars,
    /// Values without keys: [`RawPacketRef::items`](crate::RawPacketRef::items).
    Array,
    /// Bytes that only the receiver can interpret:
    /// [`RawPacketRef::block`](crate::RawPacketRef::block).
    Bytes,
    /// Nothing; every decoder does.
    Empty,
}

/// Returns what the block of a packet with these modifiers is; `None` if `modifier1`
/// has no known meaning.
///
/// That is for packets that ask. An answer may have the same modifiers and another
/// block; the constants of this module say so.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::modifier::{self, Contents};
///
/// assert_eq!(modifier::contents(modifier::WSGI, 0), Some(Contents::Vars));
/// assert_eq!(modifier::contents(modifier::CACHE, 1), Some(Contents::Array));
/// ```
#[must_use]
pub const fn contents(modifier1: u8, modifier2: u8) -> Option<Contents> {
    Some(match modifier1 {
        CACHE => match modifier2 {
            0 | 2 | 5 | 6 => Contents::Bytes,
            1 => Contents::Array,
            _ => Contents::Vars,
        },
        RPC => match modifier2 {
            0 | 1 => Contents::Array,
            _ => Contents::Vars,
        },
        EVAL | MESSAGE_BYTES | MESSAGE_MARSHAL | SNMP | HTTP_REPLY | ANNOUNCE | MULTICAST
        | REMOTE_LOG | PING | ECHO | LEGION | SIGNAL | EMPEROR_CONFIG => Contents::Bytes,
        FASTFUNCS | RELOAD_BRUTAL | RELOAD | CLOSE | RESPONSE => Contents::Empty,
        _ => match name(modifier1) {
            Some(_) => Contents::Vars,
            None => return None,
        },
    })
}
