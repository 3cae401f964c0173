//! The type of an option, and the macro that defines the table of options.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// One option: a row of [`TABLE`](super::table::TABLE).
#[derive(Debug)]
pub(crate) struct Opt {
    /// The name, the same everywhere: `--NAME`, `NAME = …`, and `SCOTER_NAME` in capitals.
    pub(crate) name: &'static str,
    /// The value's name in the help. Empty for a flag.
    pub(crate) value_name: &'static str,
    /// The heading that it is listed under.
    pub(crate) section: &'static str,
    /// How many values it takes, and its default.
    pub(crate) arity: Arity,
    /// When a new value takes effect.
    pub(crate) change: Change,
    /// What it does, without its default and unit.
    pub(crate) help: &'static str,
    /// Resolves a relative path in the text against a directory.
    pub(super) relocate: fn(&OsStr, &Path) -> OsString,
}

impl PartialEq for Opt {
    /// Names are unique.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Opt {}

/// How many values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arity {
    /// One, with this default.
    One(&'static str),
    /// One or, unless given, `off`.
    Off,
    /// One or, unless given, none.
    Maybe,
    /// Any number.
    Many,
    /// Any number of `NAME=VALUE`. In the file, a table.
    Pairs,
    /// `true` or, unless given, `false`.
    Flag,
}

/// When a new value of an option takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// At the next reload.
    Reload,
    /// When scoter is restarted.
    Restart,
}

impl Opt {
    /// Its default texts.
    pub(crate) fn default_texts(&self) -> Vec<OsString> {
        match self.arity {
            Arity::One(default) => vec![default.into()],
            Arity::Off => vec![OFF.into()],
            Arity::Flag => vec!["false".into()],
            Arity::Maybe | Arity::Many | Arity::Pairs => Vec::new(),
        }
    }

    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        let mut variable = String::from("SCOTER_");
        variable.extend(self.name.chars().map(|letter| match letter {
            '-' => '_',
            letter => letter.to_ascii_uppercase(),
        }));
        variable
    }
}

/// The value that turns an option of [`Arity::Off`] off.
pub(super) const OFF: &str = "off";

/// The public name of a field: dashes for underscores.
pub(super) const fn dashed<const LENGTH: usize>(field: &str) -> [u8; LENGTH] {
    let mut name = [b'-'; LENGTH];
    let mut index = 0;
    while index < LENGTH {
        if field.as_bytes()[index] != b'_' {
            name[index] = field.as_bytes()[index];
        }
        index += 1;
    }
    name
}

/// Makes the static `TABLE` of [`Opt`]s, the struct `Options` with a typed field for each,
/// and `Options::read`, which turns texts into values.
///
/// A row is `field: arity Type [range] = "default", "VALUE NAME", change, "help";`. The
/// arity says what the field is: `one Type` (with a default), `off` and `maybe` an `Option<Type>`,
/// `many` and `pairs` a `Vec<Type>`, `flag` a `bool`.
macro_rules! options {
    ($(
        $section:literal {
            $(
                $field:ident: $arity:ident $type:ty $([$range:expr])? $(= $default:literal)?,
                $value_name:literal, $change:ident, $help:literal;
            )*
        }
    )*) => {
        /// Every option, in the order of the help.
        pub(crate) static TABLE: &[Opt] = &[$($(
            Opt {
                name: options!(@name $field),
                value_name: $value_name,
                section: $section,
                arity: options!(@arity $arity $($default)?),
                change: options!(@change $change),
                help: $help,
                relocate: <$type as FromText>::relocated,
            },
        )*)*];

        /// The value of every option.
        #[derive(Debug, Clone)]
        pub(crate) struct Options {
            $($(
                #[doc = $help]
                pub(crate) $field: options!(@type $arity $type),
            )*)*
        }

        impl Options {
            /// Parses the texts of all options, and reports all mistakes at once.
            pub(super) fn read(settings: &Settings) -> Result<Self, Vec<Problem>> {
                let mut reader = Reader::new(settings);
                $($(
                    let $field = reader.$arity::<$type>(
                        options!(@name $field),
                        options!(@check $type $(, $range)?),
                    );
                )*)*
                let problems = reader.problems();
                match ($($($field,)*)*) {
                    ($($(Some($field),)*)*) if problems.is_empty() => {
                        Ok(Self { $($($field,)*)* })
                    }
                    _ => Err(problems),
                }
            }
        }
    };
    (@name $field:ident) => {
        const {
            const NAME: [u8; stringify!($field).len()] = dashed(stringify!($field));
            match std::str::from_utf8(&NAME) {
                Ok(name) => name,
                Err(_) => panic!("an identifier is UTF-8"),
            }
        }
    };
    (@arity one $default:literal) => { Arity::One($default) };
    (@arity off) => { Arity::Off };
    (@arity maybe) => { Arity::Maybe };
    (@arity many) => { Arity::Many };
    (@arity pairs) => { Arity::Pairs };
    (@arity flag) => { Arity::Flag };
    (@change reload) => { Change::Reload };
    (@change restart) => { Change::Restart };
    (@type one $type:ty) => { $type };
    (@type off $type:ty) => { Option<$type> };
    (@type maybe $type:ty) => { Option<$type> };
    (@type many $type:ty) => { Vec<$type> };
    (@type pairs $type:ty) => { Vec<$type> };
    (@type flag $type:ty) => { $type };
    (@check $type:ty) => { |read| read };
    (@check $type:ty, $range:expr) => { |read| within(&($range), read) };
}

pub(super) use options;
