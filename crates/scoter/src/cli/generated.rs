//! What is generated from the definitions of all commands: completion for shells, and man pages.

use std::io;

use clap_complete::Shell;
use clap_mangen::Man;

use super::commands::COMMANDS;
use super::help;
use crate::config::HelpLevel;

/// The script with which a shell completes the arguments of `scoter`.
pub(super) fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut root(), "scoter", &mut script);
    script
}

/// The man page of `scoter`, or of one of its commands, as roff.
///
/// # Errors
///
/// None in practice: it is written to memory.
pub(super) fn man_page(command: Option<&str>) -> io::Result<Vec<u8>> {
    let command = command.and_then(|name| COMMANDS.iter().find(|entry| entry.name == name));
    let definition = match command {
        None => root(),
        Some(entry) => {
            (entry.define)(HelpLevel::Full).display_name(format!("scoter-{}", entry.name))
        }
    };
    let mut page = Vec::new();
    Man::new(definition)
        .source(concat!("scoter ", env!("CARGO_PKG_VERSION")))
        .manual("scoter")
        .render(&mut page)?;
    Ok(page)
}

/// All commands below `scoter` itself. Arguments are not parsed by it: there a command is one only
/// as the first argument.
fn root() -> clap::Command {
    let commands = COMMANDS.iter().map(|entry| {
        let definition = (entry.define)(HelpLevel::Full).name(entry.name);
        // The list has one line for each.
        definition.about(entry.summary)
    });
    help::server(HelpLevel::Full)
        .subcommand_negates_reqs(true)
        .disable_help_subcommand(true)
        .subcommands(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_of_all_commands_is_consistent() {
        root().debug_assert();
    }

    #[test]
    fn every_shell_is_told_every_command_and_option() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completion(shell)).unwrap();
            let words = COMMANDS.iter().map(|entry| entry.name);
            for word in words.chain(["request-timeout", "print-config", "upgrade"]) {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let page = |name| String::from_utf8(man_page(name).unwrap()).unwrap();
        let scoter = page(None);
        assert!(scoter.contains(".TH scoter 1"), "{scoter}");
        for entry in COMMANDS {
            let title = format!(".TH scoter-{} 1", entry.name);
            assert!(page(Some(entry.name)).contains(&title), "{}", entry.name);
            let reference = format!("scoter\\-{}(1)", entry.name);
            assert!(scoter.contains(&reference), "{reference}");
        }
    }
}
