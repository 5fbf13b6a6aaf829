//! The end of the socket at an asking process.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::wire::{self, ANSWER_BYTES_MAX, Lines};
use crate::api::{Answer, Event, Kind, Refusal, Request, VERSION};
use crate::words::refusals;

/// Why the engine in another process cannot be asked.
#[derive(Debug)]
pub enum ConnectError {
    /// Nobody listens (any more, or yet).
    NobodyThere(io::Error),
    /// Somebody does, and refuses.
    Refused(Refusal),
}

/// A conversation with the engine in another process.
#[derive(Debug)]
pub struct Client {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    next_id: u64,
    /// Events that came while an answer was waited for.
    events: VecDeque<Event>,
}

impl Client {
    /// Connects, agrees on the version and listens to events.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(socket: &Path) -> Result<Self, ConnectError> {
        let stream = UnixStream::connect(socket).await.map_err(ConnectError::NobodyThere)?;
        let (reader, writer) = stream.into_split();
        let lines = Lines::new(BufReader::new(reader), ANSWER_BYTES_MAX);
        let mut client = Self { lines, writer, next_id: 1, events: VecDeque::new() };
        let greetings = [json!({"method": "hello", "params": {"version": VERSION}}), json!({"method": "listen"})];
        for greeting in greetings {
            match client.call(greeting).await {
                Ok(_) => {}
                Err(refusal) if matches!(refusal.kind, Kind::Closing | Kind::Ended) => {
                    return Err(ConnectError::NobodyThere(io::ErrorKind::ConnectionAborted.into()));
                }
                Err(refusal) => return Err(ConnectError::Refused(refusal)),
            }
        }
        Ok(client)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; [`Kind::Closing`] when the other process is about to end, [`Kind::Ended`] when it has.
    pub async fn ask(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let answer = self.call(wire::call(0, request)).await?;
        serde_json::from_value(answer).map_err(|_| strange())
    }

    /// The next event; nothing when the other process has ended.
    pub async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            self.read().await.ok()?;
        }
    }

    async fn call(&mut self, mut call: Value) -> Result<Value, Refusal> {
        let id = self.next_id;
        self.next_id += 1;
        call["jsonrpc"] = json!("2.0");
        call["id"] = json!(id);
        wire::write_line(&mut self.writer, &call).await.map_err(|_| gone())?;
        loop {
            let Some(mut answer) = self.read().await? else { continue };
            if answer["id"] != id {
                continue;
            }
            if let Some(error) = answer.get_mut("error") {
                let refusal = serde_json::from_value(error["data"].take());
                return Err(refusal.unwrap_or_else(|_| strange()));
            }
            return Ok(answer["result"].take());
        }
    }

    /// Reads one line: keeps it when it is an event, returns it when it is an answer.
    async fn read(&mut self) -> Result<Option<Value>, Refusal> {
        let line = self.lines.next().await.ok().flatten().ok_or_else(gone)?;
        let mut value: Value = serde_json::from_slice(&line).map_err(|_| strange())?;
        if value["method"] != "event" {
            return Ok(Some(value));
        }
        // An event that this version does not know is none.
        if let Ok(event) = serde_json::from_value(value["params"].take()) {
            self.events.push_back(event);
        }
        Ok(None)
    }
}

fn gone() -> Refusal {
    Refusal::new(Kind::Ended, refusals::other_ended())
}

fn strange() -> Refusal {
    Refusal::new(Kind::Version, refusals::other_version())
}
