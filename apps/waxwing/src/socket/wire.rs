//! Lines, and what stands in them.

use std::io;

use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::api::{Kind, Refusal, Request, VERSION};
use crate::words::refusals;

/// The longest line that the engine takes: a message of words is at most 64 KiB, and JSON may write a byte as six.
pub(super) const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// The longest line that an asking process takes: an inbox.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// JSON-RPC 2.0 §5.1.
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
/// Ours: the request was understood and refused; `data` says why.
const REFUSED: i64 = 1;

/// What an asking process wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To agree on a version.
    Hello { version: Option<u64> },
    /// To hear events.
    Listen,
    /// Something of the engine.
    Request(Request),
}

/// Reads a line of an asking process: the id to answer with, and what is wanted or the answer to nonsense.
pub(super) fn parse_call(line: &[u8]) -> (Value, Result<Asked, Value>) {
    let Ok(Value::Object(mut call)) = serde_json::from_slice(line) else {
        return (Value::Null, Err(error(PARSE_ERROR, &refusals::rpc_not_json(), None)));
    };
    let id = call.remove("id").unwrap_or(Value::Null);
    let method = match (call.remove("jsonrpc"), call.remove("method")) {
        (Some(version), Some(Value::String(method))) if version == "2.0" => method,
        _ => return (id, Err(error(INVALID_REQUEST, &refusals::rpc_not_a_request(), None))),
    };
    let params = call.remove("params").filter(|params| !params.is_null());
    let asked = match method.as_str() {
        "hello" => Asked::Hello { version: params.as_ref().and_then(|params| params["version"].as_u64()) },
        "listen" => Asked::Listen,
        _ => match request(&method, params) {
            Some(request) => Asked::Request(request),
            None => return (id, Err(error(METHOD_NOT_FOUND, &refusals::rpc_no_method(&method), None))),
        },
    };
    (id, Ok(asked))
}

/// Methods without parameters may be called with an empty object, and those with none but optional ones without any.
fn request(method: &str, params: Option<Value>) -> Option<Request> {
    let with = json!({"method": method, "params": params.clone().unwrap_or_else(|| json!({}))});
    let is_empty = params.as_ref().is_none_or(|params| params.as_object().is_some_and(serde_json::Map::is_empty));
    serde_json::from_value(with)
        .ok()
        .or_else(|| is_empty.then(|| serde_json::from_value(json!({"method": method})).ok()).flatten())
}

/// Writes a call.
pub(super) fn call(id: u64, request: &Request) -> Value {
    let mut call = serde_json::to_value(request).unwrap_or_default();
    call["jsonrpc"] = json!("2.0");
    call["id"] = json!(id);
    call
}

/// The answer to `hello`.
pub(super) fn greeting(version: Option<u64>) -> Result<Value, Value> {
    if version == Some(u64::from(VERSION)) {
        return Ok(json!({"version": VERSION, "program": concat!("waxwing ", env!("CARGO_PKG_VERSION"))}));
    }
    Err(refused(&Refusal::new(Kind::Version, refusals::other_version())))
}

/// An answer.
pub(super) fn answered(id: Value, result: Result<Value, Value>) -> Value {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    }
}

/// A refusal as a JSON-RPC error.
pub(super) fn refused(refusal: &Refusal) -> Value {
    error(REFUSED, &refusal.text, serde_json::to_value(refusal).ok())
}

fn error(code: i64, message: &str, data: Option<Value>) -> Value {
    let mut error = json!({"code": code, "message": message});
    if let Some(data) = data {
        error["data"] = data;
    }
    error
}

/// Writes one line.
pub(super) async fn write_line(to: &mut (impl AsyncWrite + Unpin), value: &Value) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

/// Lines of bounded length. Safe to drop in `select!`: what was read stays.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    partial: Vec<u8>,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(from: R, max: usize) -> Self {
        Self { from, partial: Vec::new(), max }
    }

    /// The next line; nothing at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let buffer = self.from.fill_buf().await?;
            if buffer.is_empty() {
                return Ok(None); // half a line is none
            }
            let end = memchr::memchr(b'\n', buffer);
            let (piece, taken) = match end {
                Some(end) => (buffer.split_at(end).0, end + 1),
                None => (buffer, buffer.len()),
            };
            if self.partial.len() + piece.len() > self.max {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.partial.extend_from_slice(piece);
            self.from.consume(taken);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.partial)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_as_they_are_written() {
        let requests = [
            Request::Status,
            Request::Say { who: "bob".into(), text: "hello\n".into() },
            Request::ChangePassword { new: None },
        ];
        for request in requests {
            let line = serde_json::to_vec(&call(7, &request)).expect("written");
            assert_eq!(parse_call(&line), (json!(7), Ok(Asked::Request(request))));
        }
    }

    #[test]
    fn parameters_may_be_left_out_where_none_are_needed() {
        for line in [
            r#"{"jsonrpc":"2.0","id":"a","method":"status"}"#,
            r#"{"jsonrpc":"2.0","id":"a","method":"status","params":{}}"#,
        ] {
            assert_eq!(parse_call(line.as_bytes()), (json!("a"), Ok(Asked::Request(Request::Status))));
        }
        let line = br#"{"jsonrpc":"2.0","id":1,"method":"change_password"}"#;
        assert_eq!(parse_call(line).1, Ok(Asked::Request(Request::ChangePassword { new: None })));
    }

    #[test]
    fn nonsense_has_the_errors_of_json_rpc() {
        for (line, code) in [
            ("x", PARSE_ERROR),
            ("[]", PARSE_ERROR),
            (r#"{"id":1,"method":"status"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"dance"}"#, METHOD_NOT_FOUND),
            (r#"{"jsonrpc":"2.0","id":1,"method":"say","params":{"who":"bob"}}"#, METHOD_NOT_FOUND),
        ] {
            let (_, asked) = parse_call(line.as_bytes());
            assert_eq!(asked.expect_err(line)["code"], code, "{line}");
        }
    }

    #[test]
    fn versions_must_fit() {
        assert!(greeting(Some(1)).is_ok());
        for other in [None, Some(0), Some(2)] {
            assert_eq!(greeting(other).expect_err("refused")["data"]["kind"], "version");
        }
    }

    #[tokio::test]
    async fn lines_have_a_bound() {
        let mut lines = Lines::new(&b"one\n\ntwo\nthree-is-long\n"[..], 8);
        for expected in [&b"one"[..], b"", b"two"] {
            assert_eq!(lines.next().await.expect("short").as_deref(), Some(expected));
        }
        assert!(lines.next().await.is_err());
        let mut open = Lines::new(&b"half"[..], 8);
        assert_eq!(open.next().await.expect("an end"), None);
    }
}
