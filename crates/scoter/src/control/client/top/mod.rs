//! `scoter top`: shows the status every second.

mod columns;
mod frame;
mod keys;
mod line;
mod rates;
mod screen;

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::error::ClientError;
use super::http::Client;
use super::render::render;
use crate::control::Status;
use crate::sys::terminal::{has_colours, has_cursor};
use columns::Order;
use frame::frame;
use keys::{QUIT, letters};
use line::Line;
use rates::Rates;
use screen::{Input, Screen, Signal};

/// Shows the status until the user quits or the server ends. If standard output is not a terminal
/// that can be drawn on, the result is a single status.
pub(super) async fn watch(client: &Client) -> Result<String, ClientError> {
    let first = client.status().await?;
    if !has_cursor(&io::stdout()) {
        return Ok(render(&first));
    }
    let failed = |error| client.system(error);
    let mut input = Input::prepare().map_err(failed)?;
    let screen = Screen::enter().map_err(failed)?;
    refresh(client, &screen, &mut input, first).await
}

async fn refresh(
    client: &Client,
    screen: &Screen,
    input: &mut Input,
    first: Status,
) -> Result<String, ClientError> {
    let paint = match has_colours(&io::stdout()) {
        true => Line::coloured,
        false => Line::text,
    };
    let mut order = Order::default();
    let mut rates = Rates::of(&first, None);
    let mut shown = first;
    // Not asked again for each key.
    let next = next_status(client);
    tokio::pin!(next);
    loop {
        let lines = frame(&shown, &rates, order, screen.size());
        let lines: Vec<_> = lines.iter().map(paint).collect();
        let drawn = screen.draw(&lines);
        drawn.map_err(|error| client.system(error))?;
        tokio::select! {
            signal = input.next() => match signal {
                Signal::End => return Ok(String::new()),
                Signal::Resized => {}
                Signal::Pressed(bytes) => for key in letters(&bytes) {
                    match key.to_ascii_lowercase() {
                        QUIT => return Ok(String::new()),
                        key => order = order.after(key),
                    }
                },
            },
            answered = &mut next => {
                match answered {
                    Ok(status) => {
                        rates = Rates::of(&status, Some(&shown));
                        shown = status;
                    }
                    // It is replacing itself or has ended: the next request shows which.
                    Err(ClientError::ConnectionLost) => {}
                    Err(error) if error.is_absence() => {
                        return Ok("the server has ended\n".to_owned());
                    }
                    Err(error) => return Err(error),
                }
                next.set(next_status(client));
            }
        }
    }
}

async fn next_status(client: &Client) -> Result<Status, ClientError> {
    sleep(REFRESH).await;
    client.status().await
}

const REFRESH: Duration = Duration::from_secs(1);
