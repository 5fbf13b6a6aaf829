//! One connection of a dialogue: bytes out, elements in, and nothing done on its own.

use std::time::Duration;

use net::connection::Connection;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::xml::{Element, Limits, StreamScanner, Token};

use super::pattern::{Kept, fits};
use crate::raw::{RawClient, Server, SignIn};

/// How long something expected may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Person {
    connection: Connection,
    scanner: StreamScanner,
    /// The address, once signed in.
    pub(super) jid: Option<Jid>,
    inbox: Vec<Element>,
    closed: bool,
    pings: u32,
}

impl Person {
    /// Signs in, without acknowledgements: scripts speak XEP-0198 themselves.
    pub(super) async fn login(server: &Server, user: &str, password: &str, resource: &str) -> Self {
        let sign_in = SignIn { resource: Some(resource.to_owned()), acks: false };
        let client = RawClient::login_as(server, user, password, &sign_in).await;
        let jid = client.jid().clone();
        let mut scanner = StreamScanner::new(Limits::SERVER);
        scanner.push(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
        Self { jid: Some(jid), scanner, ..Self::on(client.into_connection()) }
    }

    /// Opens a connection and says nothing.
    pub(super) async fn connect(server: &Server) -> Result<Self, String> {
        let tcp = tokio::net::TcpStream::connect(server.address).await.map_err(|e| e.to_string())?;
        Ok(Self::on(Connection::from(tcp)))
    }

    fn on(connection: Connection) -> Self {
        let scanner = StreamScanner::new(Limits::SERVER);
        Self { connection, scanner, jid: None, inbox: Vec::new(), closed: false, pings: 0 }
    }

    /// Sends bytes. A server may have refused them by closing already; the next expectation tells.
    pub(super) async fn send(&mut self, xml: &str) {
        if self.connection.send(xml.as_bytes()).await.is_err() {
            self.closed = true;
        }
    }

    /// Waits for an element that fits, and takes it.
    pub(super) async fn expect(&mut self, pattern: &Element, kept: &mut Kept) -> Result<Element, String> {
        loop {
            if let Some(at) = self.inbox.iter().position(|element| fits(pattern, element, kept)) {
                return Ok(self.inbox.remove(at));
            }
            if let Err(why) = self.read().await {
                return Err(format!("{why}; {}", self.arrived()));
            }
        }
    }

    /// Fails when an element that fits has arrived.
    pub(super) fn absent(&self, pattern: &Element) -> Result<(), String> {
        match self.inbox.iter().find(|element| fits(pattern, element, &mut Kept::new())) {
            Some(found) => Err(format!("but this arrived: {}", found.to_xml(ns::CLIENT))),
            None => Ok(()),
        }
    }

    /// Asks the server for a sign of life, so that all it did before has arrived.
    pub(super) async fn settle(&mut self) -> Result<(), String> {
        self.pings += 1;
        let id = format!("settle-{}", self.pings);
        self.send(&format!("<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
        let pattern = Element::new("iq", ns::CLIENT).with_attr("id", id);
        self.expect(&pattern, &mut Kept::new()).await.map(drop)
    }

    /// Waits until the server has ended the stream.
    pub(super) async fn closed(&mut self) -> Result<(), String> {
        while !self.closed {
            self.read().await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), String> {
        if self.closed {
            return Err("the server has closed the stream".into());
        }
        let chunk = tokio::time::timeout(PATIENCE, self.connection.read_chunk());
        match chunk.await.map_err(|_| format!("nothing in {PATIENCE:?}"))? {
            Ok(Some(bytes)) => self.scanner.push(&bytes),
            // A server that closes while it still has input of ours resets the connection.
            Ok(None) | Err(_) => self.closed = true,
        }
        while let Some(token) = self.scanner.poll().map_err(|e| format!("the server sent no XML: {e:?}"))? {
            match token {
                Token::Frame(frame) => self.inbox.push(frame.to_element()),
                Token::Close => self.closed = true,
                Token::Open(_) => {}
            }
        }
        Ok(())
    }

    fn arrived(&self) -> String {
        if self.inbox.is_empty() {
            return "nothing else arrived".into();
        }
        let all: Vec<String> = self.inbox.iter().map(|element| format!("    {}", element.to_xml(ns::CLIENT))).collect();
        format!("arrived:\n{}", all.join("\n"))
    }
}
