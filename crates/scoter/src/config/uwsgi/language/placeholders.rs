//! Placeholders in values: `$(NAME)`, `@(FILE)` and `%(option)`.

use super::budget::Budget;
use super::error::Mistake;

/// Replaces, in one value, what `replacement` knows.
///
/// uWSGI goes through it byte by byte, and begins anew after each replacement, but at the second byte. So
/// a placeholder in the replacement is replaced in turn, unless it is at the very beginning.
pub(super) fn replace(
    value: &mut String,
    symbol: u8,
    budget: &mut Budget,
    mut replacement: impl FnMut(&str) -> Result<Option<String>, Mistake>,
) -> Result<(), Mistake> {
    let mut state = State::Outside;
    let mut at = 0;
    let mut scanned = 0;
    while let Some(byte) = value.as_bytes().get(at).copied() {
        at += 1;
        scanned += 1;
        state = match state {
            _ if byte == symbol => State::Symbol,
            State::Symbol if byte == b'(' => State::Inside {
                begin: at,
                depth: 0,
            },
            State::Inside { begin, depth } if byte == b'(' => State::Inside {
                begin,
                depth: depth + 1,
            },
            State::Inside { begin, depth } if byte == b')' && depth > 0 => State::Inside {
                begin,
                depth: depth - 1,
            },
            State::Inside { begin, .. } if byte == b')' => {
                let name = &value[begin..at - 1];
                budget.work(std::mem::take(&mut scanned))?;
                let text = match name {
                    "" => None,
                    name => replacement(name)?,
                };
                if let Some(text) = text {
                    budget.work(value.len() + text.len())?;
                    if text.len() > at - (begin - 2) {
                        budget.text(text.len() - (at - (begin - 2)))?;
                    }
                    value.replace_range(begin - 2..at, &text);
                    at = 1;
                }
                State::Outside
            }
            inside @ State::Inside { .. } => inside,
            State::Outside | State::Symbol => State::Outside,
        };
    }
    Ok(budget.work(scanned)?)
}

#[derive(Clone, Copy)]
enum State {
    Outside,
    /// After the symbol.
    Symbol,
    /// In the parentheses, whose content begins there.
    Inside {
        begin: usize,
        depth: usize,
    },
}

/// What `%(…)` means: an option's value, or that of an expression, in which everything is separated by
/// spaces and operators apply from left to right.
pub(super) fn evaluate<'a>(
    expression: &str,
    value_of: impl Fn(&str) -> Option<&'a str>,
) -> Option<String> {
    if !expression.contains(' ') {
        return value_of(expression).map(str::to_owned);
    }
    let mut operator = Operator::Join;
    let mut result: Option<String> = None;
    for word in expression.split(' ').filter(|word| !word.is_empty()) {
        let step = match word {
            "+" => {
                operator = Operator::Add;
                continue;
            }
            "-" => {
                operator = Operator::Subtract;
                continue;
            }
            "*" => {
                operator = Operator::Multiply;
                continue;
            }
            "/" => {
                operator = Operator::Divide;
                continue;
            }
            "++" => 1,
            "--" => -1,
            _ => 0,
        };
        if step == 0 {
            let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
            let operand = if is_number {
                word
            } else {
                value_of(word).unwrap_or_default()
            };
            result = Some(operator.apply(&result.unwrap_or_default(), operand));
        } else {
            result = result.map(|text| number(&text).wrapping_add(step).to_string());
        }
        operator = Operator::Join;
    }
    result
}

enum Operator {
    Join,
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Operator {
    fn apply(&self, left: &str, right: &str) -> String {
        let (a, b) = (number(left), number(right));
        match self {
            Self::Join => return format!("{left}{right}"),
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::Multiply => a.wrapping_mul(b),
            Self::Divide if b == 0 => 0,
            Self::Divide => a.wrapping_div(b),
        }
        .to_string()
    }
}

/// The number with which a text begins, as strtoll(3) reads it.
pub(super) fn number(text: &str) -> i64 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let digits = digits.bytes().take_while(u8::is_ascii_digit);
    digits.fold(0_i64, |number, digit| {
        let digit = sign * i64::from(digit - b'0');
        number.saturating_mul(10).saturating_add(digit)
    })
}
