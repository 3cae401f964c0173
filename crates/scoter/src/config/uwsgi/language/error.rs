//! Why a configuration cannot be read.

use std::io;

use thiserror::Error;

use super::budget::Exhausted;
use crate::config::uwsgi::directive::Place;

/// Why a configuration cannot be read.
#[derive(Debug, Error)]
#[error("{place}: {mistake}")]
pub(crate) struct LanguageError {
    pub(crate) place: Place,
    #[source]
    pub(crate) mistake: Mistake,
}

/// What is wrong at its place.
#[derive(Debug, Error)]
pub(crate) enum Mistake {
    #[error("cannot read {file}: {error}{}", hint(*.relative))]
    Unreadable {
        file: String,
        error: io::Error,
        relative: Relative,
    },
    #[error("{file} is not a regular file")]
    NoFile { file: String },
    #[error("there is no file before this one whose section {section:?} could be meant")]
    NoFileBefore { section: String },
    #[error("{file} does not end in .ini, .yaml, .yml, .json or .js\nhint: {instead}")]
    UnknownFormat { file: String, instead: String },
    #[error(
        "{file} is XML, which is not read\nhint: write the options as name = value into an ini file"
    )]
    Xml { file: String },
    #[error(
        "{address} is not read: only files are\nhint: write the content into a file, or the value into a \
         variable and $(NAME) here"
    )]
    Scheme { address: String },
    #[error("standard input is not read\nhint: write the configuration into a file")]
    StandardInput,
    #[error("{option} is not read\nhint: {instead}")]
    NotRead {
        option: String,
        instead: &'static str,
    },
    #[error("the file is UTF-16\nhint: save it as UTF-8")]
    Utf16,
    #[error("byte {byte:#04x} is not UTF-8\nhint: save the file as UTF-8")]
    NotUtf8 { byte: u8 },
    #[error("{what} is not UTF-8")]
    TextNotUtf8 { what: String },
    #[error("there is a NUL byte")]
    Nul,
    #[error("{message}")]
    Syntax { message: String },
    #[error("there is no object \"{section}\" in the file")]
    NoObject { section: String },
    #[error(
        "{option} is inside the {outer} of {place}, and uWSGI has no blocks in blocks\nhint: end the other \
         one first"
    )]
    Nested {
        option: String,
        outer: String,
        place: Place,
    },
    #[error("the file includes itself: {chain}")]
    Circle { chain: String },
    #[error("expected {option} = name=value")]
    NoAssignment { option: String },
    #[error("{name} is an option and cannot be a placeholder\nhint: use set = {name}=VALUE")]
    OptionAsPlaceholder { name: String },
    #[error("{option} expands to itself")]
    CustomCircle { option: String },
    #[error("uWSGI has no option {name}, and strict forbids what it does not know{}", meant(.suggestion.as_deref(), ""))]
    Strict {
        name: String,
        suggestion: Option<String>,
    },
    #[error("unknown option {written}{}", meant(.suggestion.as_deref(), "--"))]
    UnknownOption {
        written: String,
        suggestion: Option<String>,
    },
    #[error("{written} may be {}", .candidates.join(" or "))]
    Ambiguous {
        written: String,
        candidates: Vec<String>,
    },
    #[error("--{name} takes no value")]
    UnwantedValue { name: String },
    #[error("{written} needs a value")]
    MissingValue { written: String },
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// How a path was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relative {
    /// On the command line or in a variable, or absolute.
    No,
    /// In a file, whose directory it is not relative to.
    InFile,
}

impl Mistake {
    pub(super) fn at(self, place: &Place) -> LanguageError {
        LanguageError {
            place: place.clone(),
            mistake: self,
        }
    }
}

fn hint(relative: Relative) -> &'static str {
    match relative {
        Relative::No => "",
        Relative::InFile => {
            "\nhint: the path is relative to the directory in which the server is started: write %d before \
             it for that of this file"
        }
    }
}

fn meant(suggestion: Option<&str>, dashes: &str) -> String {
    suggestion.map_or_else(String::new, |name| {
        format!("\nhint: did you mean {dashes}{name}?")
    })
}
