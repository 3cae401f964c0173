//! What uWSGI does with options, one after the other.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::arguments::Arguments;
use super::budget::{self, Budget};
use super::custom::Custom;
use super::entry::Entry;
use super::error::{LanguageError, Mistake, Relative};
use super::format::Format;
use super::immediate::Immediate;
use super::input::Input;
use super::logic::{self, Block, Condition, ITEM, Loop, Test};
use super::magic::{MagicTable, Rank};
use super::option_names::OptionNames;
use super::placeholders;
use super::reading::{Reading, Warning};
use super::system::{Host, Kind, System};
use super::variables::{self, Variables};
use crate::config::uwsgi::directive::{Directive, Place};

/// What has been read so far, and what it has caused.
pub(super) struct Interpreter<'a> {
    input: &'a Input<'a>,
    system: &'a dyn System,
    host: Host,
    variables: Variables<'a>,
    options: OptionNames,
    customs: Vec<Custom>,
    magic: MagicTable,
    /// All options, in the order in which they were read.
    read: Vec<ReadOption>,
    /// The first of each name.
    first: HashMap<String, usize>,
    /// Options that others stood for which act at once: applied before all others.
    expanded: Vec<Directive>,
    block: Option<Block>,
    /// Whether options are being repeated for a block: then they are not tested again.
    in_block: bool,
    /// How many options have caused each other.
    depth: usize,
    /// Files that are being read, each named by the one before it.
    open: Vec<Source>,
    /// How many of the open files the upper-case magic variables do not describe.
    included: usize,
    /// The ini file that was opened last, which `:SECTION` means.
    last_ini: Option<String>,
    strict: Option<Place>,
    budget: Budget,
    reading: Reading,
}

/// An option that has been read.
struct ReadOption {
    directive: Directive,
    /// Whether it has acted: then placeholders in it are not replaced.
    is_done: bool,
}

/// A section of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    file: String,
    section: String,
}

impl<'a> Interpreter<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        let host = input.system.host();
        Self {
            input,
            system: input.system,
            variables: Variables::new(input.environment),
            options: OptionNames::new(),
            customs: Vec::new(),
            magic: MagicTable::new(&host),
            host,
            read: Vec::new(),
            first: HashMap::new(),
            expanded: Vec::new(),
            block: None,
            in_block: false,
            depth: 0,
            open: Vec::new(),
            included: 0,
            last_ini: None,
            strict: None,
            budget: Budget::new(),
            reading: Reading::default(),
        }
    }

    pub(super) fn read(mut self) -> Result<Reading, LanguageError> {
        self.read_variables()?;
        self.read_arguments()?;
        if let Some(block) = &self.block {
            let text = format!(
                "{} is not ended: it extends to the last option",
                block.option
            );
            let place = block.place.clone();
            self.warn(&place, text);
        }
        self.replace_placeholders()?;
        self.apply()
    }

    /// uWSGI's parse_sys_envs.
    fn read_variables(&mut self) -> Result<(), LanguageError> {
        for (name, value) in self.input.environment {
            let Some(key) = variables::option(name) else {
                continue;
            };
            let place = Place::Variable(name.to_string_lossy().into_owned());
            let value = value.to_str().ok_or_else(|| {
                let what = "its value".to_owned();
                Mistake::TextNotUtf8 { what }.at(&place)
            })?;
            self.add(key, Some(value.to_owned()), place)?;
        }
        Ok(())
    }

    /// uWSGI's uwsgi_commandline_config.
    fn read_arguments(&mut self) -> Result<(), LanguageError> {
        let mut arguments = Arguments::new(self.input.arguments);
        let at_argument = |mistake: Mistake| mistake.at(&Place::Argument);
        while let Some(given) = arguments.next(&self.options).map_err(at_argument)? {
            self.add(given.key, given.value, Place::Argument)?;
        }
        for argument in arguments.others() {
            let file = argument.to_str().ok_or_else(|| {
                let what = format!("{argument:?}");
                at_argument(Mistake::TextNotUtf8 { what })
            })?;
            // The emperor passes these to its vassals.
            if !file.starts_with('[') {
                self.include(file, &Place::Argument)?;
            }
        }
        Ok(())
    }

    /// Takes an option, unless a block prevents it: uWSGI's add_exported_option.
    fn add(
        &mut self,
        key: String,
        value: Option<String>,
        place: Place,
    ) -> Result<(), LanguageError> {
        if self.in_block {
            return self.export(key, value, place);
        }
        if logic::ends(&key) {
            self.block = None;
        }
        let Some(block) = self.block.clone() else {
            return self.export(key, value, place);
        };
        if matches!(key.as_str(), "else" | "elif" | "else-if") {
            let text = format!(
                "uWSGI 2.0 has no {key}: what follows is still part of {}",
                block.option
            );
            self.warn(&place, text);
        }
        let work = self
            .budget
            .work(block.argument.len() + value.as_ref().map_or(0, String::len));
        work.map_err(|error| Mistake::from(error).at(&place))?;
        self.in_block = true;
        let result = self.repeat(&block, &key, value.as_deref(), &place);
        self.in_block = false;
        result
    }

    /// Takes an option of a block as often as it is there.
    fn repeat(
        &mut self,
        block: &Block,
        key: &str,
        value: Option<&str>,
        place: &Place,
    ) -> Result<(), LanguageError> {
        let items = match block.test {
            Test::If(condition) => match self.holds(condition, block) {
                Holds::With(item) => vec![item],
                Holds::Not(_) => return Ok(()),
            },
            Test::IfNot(condition) => match self.holds(condition, block) {
                Holds::With(_) => return Ok(()),
                Holds::Not(item) => vec![item],
            },
            Test::Loop(kind) => {
                let items = self.items(kind, block, place)?;
                items.into_iter().map(Some).collect()
            }
        };
        for item in items {
            let value = match (value, &item) {
                (Some(value), Some(item)) => {
                    let growth = value.matches(ITEM).count().saturating_mul(item.len());
                    let text = self.budget.text(growth);
                    text.map_err(|error| Mistake::from(error).at(place))?;
                    Some(value.replace(ITEM, item))
                }
                (value, _) => value.map(str::to_owned),
            };
            self.export(key.to_owned(), value, place.clone())?;
        }
        Ok(())
    }

    /// Whether something is so, and what `%(_)` means then.
    fn holds(&self, condition: Condition, block: &Block) -> Holds {
        let argument = block.argument.as_str();
        let path = Path::new(argument);
        let is_so = match condition {
            Condition::Option => {
                let (name, wanted) = logic::name_and_value(argument);
                return Holds::compare(self.value_of(name), wanted);
            }
            Condition::Variable => {
                let (name, wanted) = logic::name_and_value(argument);
                let value = self.variables.get(name).and_then(OsStr::to_str);
                return Holds::compare(value, wanted);
            }
            Condition::Reload => {
                return match self.variables.is_reload {
                    true => Holds::With(None),
                    false => Holds::Not(None),
                };
            }
            Condition::HostName => self.host.name == argument,
            Condition::Exists => self.system.is_readable(path),
            Condition::File => self.system.kind(path) == Some(Kind::File),
            Condition::Directory => self.system.kind(path) == Some(Kind::Directory),
            Condition::Plugin => argument.starts_with("python"),
        };
        match is_so {
            true => Holds::With(Some(argument.to_owned())),
            false => Holds::Not(Some(argument.to_owned())),
        }
    }

    /// What a loop goes through.
    fn items(
        &mut self,
        kind: Loop,
        block: &Block,
        place: &Place,
    ) -> Result<Vec<String>, LanguageError> {
        let argument = block.argument.as_str();
        // One more than there may be is an error later.
        let most = self.budget.directives_left() + 1;
        Ok(match kind {
            Loop::Words => {
                let words = argument.split(' ').filter(|word| !word.is_empty());
                words.take(most).map(str::to_owned).collect()
            }
            Loop::Numbers => {
                let count = placeholders::number(argument);
                let count = usize::try_from(count).unwrap_or(0);
                (1..=count.min(most))
                    .map(|number| number.to_string())
                    .collect()
            }
            Loop::Paths => {
                let paths = self.system.glob(argument, most);
                if paths.is_empty() {
                    return Ok(vec![argument.to_owned()]);
                }
                let paths = paths.into_iter().map(|path| text_of(path.as_os_str()));
                paths
                    .collect::<Result<_, _>>()
                    .map_err(|mistake| mistake.at(place))?
            }
            Loop::Lines => {
                let Ok(content) = self.system.read(Path::new(argument), budget::FILE) else {
                    let text =
                        format!("cannot read {argument}: the options of the loop are skipped");
                    self.warn(place, text);
                    return Ok(Vec::new());
                };
                let text = self.budget.text(content.len());
                text.map_err(|error| Mistake::from(error).at(place))?;
                let lines = logic::lines(&content).take(most);
                let lines = lines.map(|line| text_of(OsStr::from_bytes(line)));
                lines
                    .collect::<Result<_, _>>()
                    .map_err(|mistake| mistake.at(place))?
            }
        })
    }

    /// Takes an option, and does what it does at once.
    fn export(
        &mut self,
        key: String,
        value: Option<String>,
        place: Place,
    ) -> Result<(), LanguageError> {
        let index = self.record(&key, value.as_deref(), &place)?;
        let is_done = self.act(&key, value.as_deref(), &place)?;
        self.read[index].is_done = is_done;
        Ok(())
    }

    /// Adds an option to the list, without its effect.
    fn record(
        &mut self,
        key: &str,
        value: Option<&str>,
        place: &Place,
    ) -> Result<usize, LanguageError> {
        let bytes = key.len() + value.map_or(0, str::len);
        let left = self
            .budget
            .directive()
            .and_then(|()| self.budget.text(bytes));
        left.map_err(|error| Mistake::from(error).at(place))?;
        let index = self.read.len();
        self.first.entry(key.to_owned()).or_insert(index);
        self.read.push(ReadOption {
            directive: Directive {
                key: key.to_owned(),
                value: value.map(str::to_owned),
                place: place.clone(),
            },
            is_done: false,
        });
        Ok(index)
    }

    /// Does what an option does at once, if it does.
    fn act(
        &mut self,
        key: &str,
        value: Option<&str>,
        place: &Place,
    ) -> Result<bool, LanguageError> {
        self.depth += 1;
        if self.depth > 2 * budget::DEPTH {
            let option = key.to_owned();
            return Err(Mistake::CustomCircle { option }.at(place));
        }
        let is_done = self.act_at_depth(key, value, place)?;
        self.depth -= 1;
        Ok(is_done)
    }

    fn act_at_depth(
        &mut self,
        key: &str,
        value: Option<&str>,
        place: &Place,
    ) -> Result<bool, LanguageError> {
        let text = value.unwrap_or_default();
        let Some(immediate) = Immediate::of(key) else {
            return self.expand(key, text, place);
        };
        match immediate {
            Immediate::Load(format) => self.load(format, text, place)?,
            Immediate::Include => self.include(text, place)?,
            Immediate::Begin(test) => self.begin(key, test, text, place)?,
            Immediate::Set => {
                let (key, value) = assignment(key, text, place)?;
                self.export(key.to_owned(), Some(value.to_owned()), place.clone())?;
            }
            Immediate::SetPlaceholder => self.set_placeholder(key, text, place)?,
            Immediate::Declare => self.declare(key, text, place)?,
            Immediate::Strict => self.strict = is_on(value).then(|| place.clone()),
            Immediate::Restrict => {
                let text = format!("{key} has no effect here: no option is forbidden");
                self.warn(place, text);
            }
            Immediate::Other => {}
            Immediate::Refused(instead) => {
                let option = key.to_owned();
                return Err(Mistake::NotRead { option, instead }.at(place));
            }
        }
        Ok(true)
    }

    fn begin(
        &mut self,
        option: &str,
        test: Test,
        argument: &str,
        place: &Place,
    ) -> Result<(), LanguageError> {
        if let Some(outer) = &self.block {
            return Err(Mistake::Nested {
                option: option.to_owned(),
                outer: outer.option.clone(),
                place: outer.place.clone(),
            }
            .at(place));
        }
        if matches!(
            test,
            Test::If(Condition::Plugin) | Test::IfNot(Condition::Plugin)
        ) {
            let text =
                format!("{option}: of uWSGI's plugins python counts as loaded, and no other");
            self.warn(place, text);
        }
        self.block = Some(Block {
            option: option.to_owned(),
            place: place.clone(),
            test,
            argument: argument.to_owned(),
        });
        Ok(())
    }

    fn set_placeholder(
        &mut self,
        option: &str,
        text: &str,
        place: &Place,
    ) -> Result<(), LanguageError> {
        let (name, value) = assignment(option, text, place)?;
        if self.options.contains(name) {
            let name = name.to_owned();
            return Err(Mistake::OptionAsPlaceholder { name }.at(place));
        }
        let index = self.record(name, Some(value), place)?;
        self.read[index].is_done = true;
        self.reading.placeholders.insert(name.to_owned());
        Ok(())
    }

    fn declare(&mut self, option: &str, text: &str, place: &Place) -> Result<(), LanguageError> {
        let custom = Custom::of(text).ok_or_else(|| {
            let option = option.to_owned();
            Mistake::NoAssignment { option }.at(place)
        })?;
        self.options.declare(&custom.name, custom.argument());
        self.customs.push(custom);
        Ok(())
    }

    /// Applies the options that a declared one stands for. Whether there is such an option.
    fn expand(&mut self, key: &str, value: &str, place: &Place) -> Result<bool, LanguageError> {
        let is_built_in = self.options.is_built_in(key);
        let custom = self
            .customs
            .iter()
            .find(|custom| custom.name == key && !is_built_in);
        let Some(custom) = custom else {
            return Ok(false);
        };
        let text = self.budget.text(custom.most(value));
        text.map_err(|error| Mistake::from(error).at(place))?;
        for (key, value) in custom.expand(value) {
            if !self.act(&key, Some(&value), place)? {
                let directive = self.budget.directive();
                directive.map_err(|error| Mistake::from(error).at(place))?;
                self.expanded.push(Directive {
                    key,
                    value: Some(value),
                    place: place.clone(),
                });
            }
        }
        Ok(true)
    }

    /// Reads a file whose name says its form: uWSGI's uwsgi_opt_load.
    fn include(&mut self, name: &str, place: &Place) -> Result<(), LanguageError> {
        match Format::of(name) {
            Some(format) => {
                self.included += 1;
                self.load(format, name, place)?;
                self.included -= 1;
                Ok(())
            }
            None => {
                refuse_address(name, place)?;
                Err(Mistake::UnknownFormat {
                    file: name.to_owned(),
                    instead: instead_of(name),
                }
                .at(place))
            }
        }
    }

    /// Reads a file, or a section of it: `FILE:SECTION`.
    fn load(&mut self, format: Format, name: &str, place: &Place) -> Result<(), LanguageError> {
        refuse_address(name, place)?;
        let (file, section) = match name.rsplit_once(':') {
            Some((file, "")) => (file, "uwsgi"),
            Some((file, section)) => (file, section),
            None => (name, "uwsgi"),
        };
        if format == Format::Xml {
            let file = file.to_owned();
            return Err(Mistake::Xml { file }.at(place));
        }
        let file = match &self.last_ini {
            _ if !(format == Format::Ini && name.starts_with(':') && file.is_empty()) => {
                file.to_owned()
            }
            Some(file) => file.clone(),
            None => {
                let section = section.to_owned();
                return Err(Mistake::NoFileBefore { section }.at(place));
            }
        };
        let source = Source {
            file,
            section: section.to_owned(),
        };
        self.enter(source.clone(), place)?;
        let content = self.content(&source.file, place)?;
        let rank = match self.included {
            0 => Rank::First,
            _ => Rank::Included,
        };
        let described = self.magic.describe(name, rank, self.system);
        described.map_err(|error| self.unreadable(&source.file, error, place))?;
        if format == Format::Ini {
            self.last_ini = Some(source.file.clone());
        }
        self.interpret(format, &source, &content, place)?;
        self.open.pop();
        Ok(())
    }

    /// Remembers that a file is being read.
    fn enter(&mut self, source: Source, place: &Place) -> Result<(), LanguageError> {
        self.open.push(source.clone());
        if self.open.len() <= budget::DEPTH {
            return Ok(());
        }
        // The files between two times that the same is read.
        let circle = self
            .open
            .iter()
            .rev()
            .skip(1)
            .position(|other| *other == source);
        let files = self.open.iter().rev().take(circle.unwrap_or(1) + 2);
        let mut chain: Vec<_> = files.map(Source::to_string).collect();
        chain.reverse();
        let chain = chain.join(" includes ");
        Err(Mistake::Circle { chain }.at(place))
    }

    fn content(&mut self, file: &str, place: &Place) -> Result<Vec<u8>, LanguageError> {
        let path = Path::new(file);
        if self.system.kind(path) == Some(Kind::Directory) {
            let file = file.to_owned();
            return Err(Mistake::NoFile { file }.at(place));
        }
        let content = self.system.read(path, budget::FILE);
        let content = content.map_err(|error| self.unreadable(file, error, place))?;
        let text = self.budget.text(content.len());
        text.map_err(|error| Mistake::from(error).at(place))?;
        Ok(content)
    }

    fn unreadable(&self, file: &str, error: io::Error, place: &Place) -> LanguageError {
        let is_relative = !Path::new(file).is_absolute() && matches!(place, Place::File { .. });
        Mistake::Unreadable {
            file: file.to_owned(),
            error,
            relative: match is_relative {
                true => Relative::InFile,
                false => Relative::No,
            },
        }
        .at(place)
    }

    /// Takes the options of a section.
    fn interpret(
        &mut self,
        format: Format,
        source: &Source,
        content: &[u8],
        place: &Place,
    ) -> Result<(), LanguageError> {
        let file = PathBuf::from(&source.file);
        let absolute = self.host.directory.join(&file);
        if !self.reading.files.contains(&absolute) {
            self.reading.files.push(absolute);
        }
        let at = |line| Place::File {
            file: file.clone(),
            line,
        };
        if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
            return Err(Mistake::Utf16.at(&at(1)));
        }
        let content = match content.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) => {
                let text =
                    "the file begins with a byte order mark, so uWSGI does not see its first line";
                self.warn(&at(1), text.to_owned());
                rest
            }
            None => content,
        };
        let text = self.magic.replace(content, &mut self.budget);
        let text = text.map_err(|error| Mistake::from(error).at(place))?;
        let entries = format.entries(&text, &source.section);
        let entries = entries.map_err(|(line, mistake)| mistake.at(&at(line)))?;
        for (line, skipped) in entries.skipped {
            self.warn(&at(line), skipped);
        }
        if entries.list.is_empty() {
            let line = entries.almost.unwrap_or(1);
            let text = match entries.almost {
                Some(_) => format!(
                    "this is not the section [{}], and is skipped",
                    source.section
                ),
                None => format!("there is nothing in a section [{}]", source.section),
            };
            self.warn(&at(line), text);
        }
        let mut dropped = text.dropped.into_iter().peekable();
        for entry in entries.list {
            while let Some((line, byte)) = dropped.next_if(|(line, _)| *line <= entry.line) {
                if byte == b'\n' || line == entry.line {
                    self.warn(&at(line), dropped_text(byte));
                }
            }
            let (key, value) = words(&entry).map_err(|mistake| mistake.at(&at(entry.line)))?;
            self.add(key.to_owned(), Some(value.to_owned()), at(entry.line))?;
        }
        for (line, byte) in dropped.filter(|(_, byte)| *byte == b'\n') {
            self.warn(&at(line), dropped_text(byte));
        }
        Ok(())
    }

    /// uWSGI's three passes, in which a replacement may contain what a later one replaces.
    fn replace_placeholders(&mut self) -> Result<(), LanguageError> {
        let Self {
            read,
            first,
            variables,
            system,
            budget,
            reading,
            ..
        } = self;
        for option in read.iter_mut().filter(|option| !option.is_done) {
            let Directive { value, place, .. } = &mut option.directive;
            let Some(value) = value else { continue };
            let replaced = placeholders::replace(value, b'$', budget, |name| {
                variables.get(name).map(text_of).transpose()
            });
            replaced.map_err(|mistake| mistake.at(place))?;
        }
        for option in read.iter_mut().filter(|option| !option.is_done) {
            let Directive { value, place, .. } = &mut option.directive;
            let Some(value) = value else { continue };
            let replaced = placeholders::replace(value, b'@', budget, |name| {
                file_content(*system, name).map(Some)
            });
            replaced.map_err(|mistake| mistake.at(place))?;
        }
        for index in 0..read.len() {
            if read[index].is_done {
                continue;
            }
            let Some(mut value) = read[index].directive.value.clone() else {
                continue;
            };
            let replaced = placeholders::replace(&mut value, b'%', budget, |expression| {
                let value_of = |name: &str| {
                    let option = first.get(name).map(|index| &read[*index]);
                    option.and_then(|option| option.directive.value.as_deref())
                };
                for name in expression.split(' ') {
                    if !reading.placeholders.contains(name) {
                        reading.placeholders.insert(name.to_owned());
                    }
                }
                Ok(placeholders::evaluate(expression, value_of))
            });
            replaced.map_err(|mistake| mistake.at(&read[index].directive.place))?;
            read[index].directive.value = Some(value);
        }
        Ok(())
    }

    /// Applies what has not acted yet: uWSGI's uwsgi_configure.
    fn apply(mut self) -> Result<Reading, LanguageError> {
        let mut index = 0;
        let mut inherited: HashMap<String, usize> = HashMap::new();
        let mut expansions = Vec::new();
        while index < self.read.len() {
            let option = &self.read[index];
            let Directive { key, value, place } = option.directive.clone();
            let is_done = option.is_done;
            let text = value.as_deref().unwrap_or_default();
            index += 1;
            if is_done {
                continue;
            }
            match key.as_str() {
                // Placeholders in what it names are not replaced: that has been done.
                "inherit" => {
                    let times = inherited.entry(text.to_owned()).or_default();
                    *times += 1;
                    if *times > budget::DEPTH {
                        let chain = format!("{text} inherits {text}");
                        return Err(Mistake::Circle { chain }.at(&place));
                    }
                    self.include(text, &place)?;
                }
                "declare-option2" => self.declare(&key, text, &place)?,
                _ => {
                    let expanded = self.expanded.len();
                    self.expand(&key, text, &place)?;
                    expansions.push((index, self.expanded.split_off(expanded)));
                }
            }
        }
        self.forbid_unknown()?;
        let Self {
            read,
            expanded,
            mut reading,
            ..
        } = self;
        let mut expansions = expansions.into_iter().peekable();
        reading.directives = expanded;
        for (index, option) in read.into_iter().enumerate() {
            reading.directives.push(option.directive);
            while let Some((_, more)) = expansions.next_if(|(after, _)| *after == index + 1) {
                reading.directives.extend(more);
            }
        }
        Ok(reading)
    }

    /// What `strict` is for. A plugin of another language has options that are not known here.
    fn forbid_unknown(&self) -> Result<(), LanguageError> {
        if self.strict.is_none()
            || self
                .read
                .iter()
                .any(|option| loads_plugin(&option.directive))
        {
            return Ok(());
        }
        let unknown = self.read.iter().find(|option| {
            let key = &option.directive.key;
            !option.is_done && !self.options.contains(key)
        });
        unknown.map_or(Ok(()), |option| {
            let name = option.directive.key.clone();
            let suggestion = self.options.similar(&name);
            Err(Mistake::Strict { name, suggestion }.at(&option.directive.place))
        })
    }

    /// The value of the first option with this name.
    fn value_of(&self, name: &str) -> Option<&str> {
        let option = self.first.get(name).map(|index| &self.read[*index]);
        option.and_then(|option| option.directive.value.as_deref())
    }

    fn warn(&mut self, place: &Place, text: String) {
        let warning = Warning {
            place: place.clone(),
            text,
        };
        if self.reading.warnings.len() < WARNINGS && !self.reading.warnings.contains(&warning) {
            self.reading.warnings.push(warning);
        }
    }
}

/// How many warnings there are at most.
const WARNINGS: usize = 100;

/// Whether a condition is met, and what `%(_)` means.
enum Holds {
    With(Option<String>),
    Not(Option<String>),
}

impl Holds {
    /// Whether there is a value, and the wanted one if one is wanted.
    fn compare(value: Option<&str>, wanted: Option<&str>) -> Self {
        let item = value.map(str::to_owned);
        match (value, wanted) {
            (Some(value), Some(wanted)) if value != wanted => Self::Not(item),
            (Some(_), _) => Self::With(item),
            (None, _) => Self::Not(None),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section.as_str() {
            "uwsgi" => f.write_str(&self.file),
            section => write!(f, "{}:{section}", self.file),
        }
    }
}

/// What to write in place of a file that has no known form.
fn instead_of(name: &str) -> String {
    match name.rsplit_once(':') {
        Some((file, _)) if Format::of(file).is_some() => {
            format!("a section is read by the option of the form: ini = {name}")
        }
        _ if name.ends_with(".py") || name.ends_with(".wsgi") => {
            format!("an application is named by an option: wsgi-file = {name}")
        }
        _ => format!("the form of any other file is said by the option: ini = {name}"),
    }
}

/// The addresses that uWSGI reads beside files.
const SCHEMES: [&str; 9] = [
    "emperor", "http", "data", "sym", "section", "fd", "exec", "call", "callint",
];

/// Refuses what is not the name of a file.
fn refuse_address(name: &str, place: &Place) -> Result<(), LanguageError> {
    check_address(name).map_err(|mistake| mistake.at(place))
}

fn check_address(name: &str) -> Result<(), Mistake> {
    let scheme = name.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some(scheme) if SCHEMES.contains(&scheme) => Err(Mistake::Scheme {
            address: name.to_owned(),
        }),
        _ if name == "-" => Err(Mistake::StandardInput),
        _ => Ok(()),
    }
}

/// What `@(…)` means: the file without the end of its last line.
fn file_content(system: &dyn System, name: &str) -> Result<String, Mistake> {
    check_address(name)?;
    let unreadable = |error| Mistake::Unreadable {
        file: name.to_owned(),
        error,
        relative: Relative::No,
    };
    let mut content = system
        .read(Path::new(name), budget::FILE)
        .map_err(unreadable)?;
    if let Some(b'\n' | b'\r') = content.last() {
        content.pop();
    }
    if content.contains(&0) {
        return Err(Mistake::Nul);
    }
    let what = || format!("the content of {name}");
    String::from_utf8(content).map_err(|_| Mistake::TextNotUtf8 { what: what() })
}

/// Key and value of an entry.
fn words(entry: &Entry) -> Result<(&str, &str), Mistake> {
    if entry.key.contains(&0) || entry.value.contains(&0) {
        return Err(Mistake::Nul);
    }
    let text = |bytes: &'_ [u8]| -> Result<(), Mistake> {
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(Mistake::NotUtf8 {
                byte: bytes.get(error.valid_up_to()).copied().unwrap_or_default(),
            }),
        }
    };
    text(&entry.key)?;
    text(&entry.value)?;
    let key = std::str::from_utf8(&entry.key).unwrap_or_default();
    Ok((key, std::str::from_utf8(&entry.value).unwrap_or_default()))
}

fn text_of(text: &OsStr) -> Result<String, Mistake> {
    let text = text.to_str().ok_or_else(|| Mistake::TextNotUtf8 {
        what: format!("{text:?}"),
    });
    text.map(str::to_owned)
}

fn dropped_text(byte: u8) -> String {
    match byte {
        b'\n' | b'\r' => {
            "uWSGI reads % at the end of a line as a magic variable without value, and joins \
                         the next line to this one: write %% for a percent sign"
                .to_owned()
        }
        byte => format!(
            "uWSGI reads %{} as a magic variable without value: write %% for a percent sign",
            byte.escape_ascii()
        ),
    }
}

/// Splits `NAME=VALUE`.
fn assignment<'t>(
    option: &str,
    text: &'t str,
    place: &Place,
) -> Result<(&'t str, &'t str), LanguageError> {
    text.split_once('=').ok_or_else(|| {
        let option = option.to_owned();
        Mistake::NoAssignment { option }.at(place)
    })
}

/// Whether an option without argument is switched on: uWSGI's uwsgi_opt_true.
fn is_on(value: Option<&str>) -> bool {
    let off = ["false", "off", "no", "0"];
    value.is_none_or(|value| !off.iter().any(|off| off.eq_ignore_ascii_case(value)))
}

/// Whether an option loads a plugin that may have options of its own.
fn loads_plugin(directive: &Directive) -> bool {
    let is_plugin = matches!(
        directive.key.as_str(),
        "plugin" | "plugins" | "need-plugin" | "need-plugins"
    );
    let mut names = directive.value.iter().flat_map(|value| value.split(','));
    is_plugin && names.any(|name| !name.trim().starts_with("python"))
}
