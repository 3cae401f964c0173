//! The `scoter` command as a program of its own: see [`scoter::embed`].

fn main() -> std::process::ExitCode {
    scoter::embed::main()
}
