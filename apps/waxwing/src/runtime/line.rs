//! One connection to the server, in a task of its own: it dials, reads, writes and secures; it understands nothing.
//!
//! It reads on only when the engine has taken what was read before ([`Order::ReadOn`]). That keeps memory bounded, and
//! nothing that arrives after `<proceed/>` in clear is ever read as part of the stream (X09).

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use client::output::{ConnectFailure, ConnectPlan, Endpoint};
use net::connection::Connection;
use net::dial::Link;
use net::tls::{ClientTls, TlsError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, WriteHalf};
use tokio::sync::mpsc;
use xmpp::stream::{TlsFacts, Transport};

use super::network::Network;

/// How much one read takes at most.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a line is told.
pub(super) enum Order {
    /// Write these bytes.
    Write(Bytes),
    /// What was read has been taken.
    ReadOn,
    /// Write what is left, then start TLS.
    StartTls,
    /// Write what is left, then close.
    Close,
}

/// What a line tells.
pub(super) enum Report {
    /// The connection is open, at this address of the plan.
    Connected(Transport, Option<Endpoint>),
    /// It could not be opened.
    Failed(ConnectFailure),
    /// TLS is up.
    Secured(TlsFacts),
    /// Bytes arrived.
    Read(Bytes),
    /// The connection is gone.
    Lost,
}

/// The engine's end of a line.
pub(super) struct Line {
    /// Reports of earlier lines are recognised by their number.
    pub(super) number: u64,
    orders: mpsc::UnboundedSender<Order>,
    task: tokio::task::JoinHandle<()>,
}

impl Line {
    /// Begins to connect.
    pub(super) fn open(number: u64, plan: ConnectPlan, network: Network, reports: mpsc::Sender<(u64, Report)>) -> Self {
        let (orders, taken) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let last = run(&plan, &network, taken, |report| {
                let reports = reports.clone();
                async move { reports.send((number, report)).await.is_ok() }
            })
            .await;
            if let Some(last) = last {
                let _ = reports.send((number, last)).await;
            }
        });
        Self { number, orders, task }
    }

    /// Tells the line to do something; a line that has ended does nothing.
    pub(super) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Writes what is left, and waits until it is out.
    pub(super) async fn close(self) {
        self.order(Order::Close);
        drop(self.orders);
        let _ = self.task.await;
    }
}

/// Runs a line to its end; returns what is left to tell.
async fn run<R: Future<Output = bool>>(
    plan: &ConnectPlan,
    network: &Network,
    mut orders: mpsc::UnboundedReceiver<Order>,
    report: impl Fn(Report) -> R,
) -> Option<Report> {
    let dialled = tokio::select! {
        dialled = network.dial(plan) => dialled,
        () = closed(&mut orders) => return None,
    };
    let (Link { mut connection, facts, tls, .. }, place) = match dialled {
        Ok(link) => link,
        Err(failure) => return Some(Report::Failed(failure)),
    };
    if !report(Report::Connected(facts.map_or(Transport::Plain, Transport::Tls), place)).await {
        return None;
    }
    loop {
        connection = match carry(connection, &mut orders, &report).await {
            Carried::StartTls(connection) => {
                let (secured, facts) = match secure(connection, &tls, plan).await {
                    Ok(secured) => secured,
                    Err(last) => return Some(last),
                };
                if !report(Report::Secured(facts)).await {
                    return None;
                }
                secured
            }
            Carried::Lost => return Some(Report::Lost),
            Carried::Closed(connection) => {
                connection.close().await;
                return None;
            }
        };
    }
}

/// Secures a connection, or tells why that cannot be done.
async fn secure(connection: Connection, tls: &ClientTls, plan: &ConnectPlan) -> Result<(Connection, TlsFacts), Report> {
    connection.start_tls(tls, &plan.domain, None, 0).await.map_err(|error| match error {
        TlsError::Certificate(_) => Report::Failed(ConnectFailure::NotTrusted),
        TlsError::NothingInCommon => Report::Failed(ConnectFailure::Tls),
        _ => Report::Lost,
    })
}

enum Carried {
    StartTls(Connection),
    Lost,
    Closed(Connection),
}

/// Carries bytes both ways until something else is wanted.
async fn carry<R: Future<Output = bool>>(
    connection: Connection,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    report: &impl Fn(Report) -> R,
) -> Carried {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let (mut unsent, mut unflushed, mut may_read) = (BytesMut::new(), false, true);
    let mut arrived = BytesMut::new();
    let ending = loop {
        arrived.reserve(CHUNK_BYTES.saturating_sub(arrived.capacity()));
        tokio::select! {
            biased;
            pushed = push(&mut writer, &unsent), if !unsent.is_empty() || unflushed => match pushed {
                Ok(0) => unflushed = false,
                Ok(count) => {
                    unsent.advance(count);
                    unflushed = true;
                }
                Err(_) => return Carried::Lost,
            },
            order = orders.recv() => match order {
                Some(Order::Write(bytes)) => unsent.extend_from_slice(&bytes),
                Some(Order::ReadOn) => may_read = true,
                Some(Order::StartTls) => break Some(()),
                Some(Order::Close) | None => break None,
            },
            read = reader.read_buf(&mut arrived), if may_read => match read {
                Ok(1..) => {
                    may_read = false;
                    if !report(Report::Read(arrived.split().freeze())).await {
                        break None;
                    }
                }
                _ => return Carried::Lost,
            },
        }
    };
    let sent = writer.write_all(&unsent).await.is_ok() && writer.flush().await.is_ok();
    match ending {
        Some(()) if sent => Carried::StartTls(reader.unsplit(writer)),
        Some(()) => Carried::Lost,
        None => Carried::Closed(reader.unsplit(writer)),
    }
}

/// Writes some bytes, and tells how many; with none left, flushes. Safe to drop in `select!`, as both steps are.
async fn push(writer: &mut WriteHalf<Connection>, unsent: &[u8]) -> io::Result<usize> {
    if unsent.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(unsent).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

/// Waits until the line is not wanted any more.
async fn closed(orders: &mut mpsc::UnboundedReceiver<Order>) {
    while !matches!(orders.recv().await, Some(Order::Close) | None) {}
}
