//! The attribute `#[through_nginx]`, which `integration_tests` exports: a procedural macro needs a crate of its own.

use proc_macro::TokenStream;

/// Makes two tests of a function that takes `integration_tests::Connections`: `NAME::closed`, in which nginx closes its
/// connection to the server after each response, and `NAME::kept`, in which it keeps it where both agree.
///
/// `#[through_nginx(kept)]` makes only the second, of what has no meaning without the module. `#[through_nginx(gateway)]`
/// makes a third, `NAME::gateway`, with the gateway of uwsgi-http in nginx's place, of what needs no more of nginx than
/// HTTP. `#[through_nginx(gateway, dev)]` makes a fourth, `NAME::dev`, in which `scoter dev` is both.
///
/// # Panics
///
/// If it stands before something else, or its argument is another.
#[proc_macro_attribute]
pub fn through_nginx(ways: TokenStream, function: TokenStream) -> TokenStream {
    let name = function
        .clone()
        .into_iter()
        .skip_while(|token| token.to_string() != "fn")
        .nth(1)
        .expect("#[through_nginx] stands before a function");
    let ways = ways.to_string().replace(' ', "");
    let ways: &[_] = match ways.as_str() {
        "" => &[("closed", "Closed"), ("kept", "Kept")],
        "kept" => &[("kept", "Kept")],
        "gateway" => &[
            ("closed", "Closed"),
            ("kept", "Kept"),
            ("gateway", "Gateway"),
        ],
        "gateway,dev" => &[
            ("closed", "Closed"),
            ("kept", "Kept"),
            ("gateway", "Gateway"),
            ("dev", "Dev"),
        ],
        other => panic!("not `kept`, `gateway` or `gateway, dev`: {other}"),
    };
    let tests: String = ways
        .iter()
        .map(|(test, connections)| {
            format!(
                "#[test] fn {test}() {{
                    ::integration_tests::Connections::{connections}.run(super::{name});
                }}"
            )
        })
        .collect();
    // A module and a function may have the same name.
    let module: TokenStream = format!("mod {name} {{ {tests} }}")
        .parse()
        .expect("well-formed");
    TokenStream::from_iter([function, module])
}
