//! [`Session`]: what client and server sessions have in common, for the one loop that drives them.

use broker::federation::ServerSession;
use broker::{ClientSession, Output};
use store::BoxFuture;
use xmpp::stream::TlsFacts;
use xmpp::time::Moment;

/// A session of the broker. Its futures are boxed: they are large, and a connection sleeps without one.
pub(super) trait Session: Send + 'static {
    fn handle_bytes<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, ()>;
    fn handle_tls(&mut self, facts: TlsFacts) -> BoxFuture<'_, ()>;
    /// TLS did not come up, because it is not who it should be that answers.
    fn handle_somebody_else(&mut self);
    fn handle_wake(&mut self) -> BoxFuture<'_, ()>;
    fn handle_timeout(&mut self) -> BoxFuture<'_, ()>;
    fn handle_written(&mut self) -> BoxFuture<'_, ()>;
    fn take_output(&mut self) -> Output;
    fn next_timeout(&self) -> Option<Moment>;
    fn read_pause(&self) -> Option<Moment>;
    /// The peer has proved who it is, so it no longer counts among the strangers.
    fn is_signed_in(&self) -> bool;
    /// The account that has signed in, of a client.
    fn account(&self) -> Option<String>;
    fn closed(self) -> BoxFuture<'static, ()>;
}

macro_rules! session {
    ($session:ty, $is_signed_in:expr, $account:expr, $somebody_else:expr) => {
        impl Session for $session {
            fn handle_bytes<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, ()> {
                Box::pin(<$session>::handle_bytes(self, bytes))
            }
            fn handle_tls(&mut self, facts: TlsFacts) -> BoxFuture<'_, ()> {
                Box::pin(<$session>::handle_tls(self, facts))
            }
            fn handle_somebody_else(&mut self) {
                $somebody_else(self);
            }
            fn handle_wake(&mut self) -> BoxFuture<'_, ()> {
                Box::pin(<$session>::handle_wake(self))
            }
            fn handle_timeout(&mut self) -> BoxFuture<'_, ()> {
                Box::pin(<$session>::handle_timeout(self))
            }
            fn handle_written(&mut self) -> BoxFuture<'_, ()> {
                Box::pin(<$session>::handle_written(self))
            }
            fn take_output(&mut self) -> Output {
                <$session>::take_output(self)
            }
            fn next_timeout(&self) -> Option<Moment> {
                <$session>::next_timeout(self)
            }
            fn read_pause(&self) -> Option<Moment> {
                <$session>::read_pause(self)
            }
            fn is_signed_in(&self) -> bool {
                $is_signed_in(self)
            }
            fn account(&self) -> Option<String> {
                $account(self)
            }
            fn closed(self) -> BoxFuture<'static, ()> {
                Box::pin(<$session>::closed(self))
            }
        }
    };
}

session!(
    ClientSession,
    |session: &ClientSession| session.jid().is_some(),
    |session: &ClientSession| session.jid().map(|jid| jid.bare_str().to_owned()),
    |_: &mut ClientSession| ()
);
session!(ServerSession, ServerSession::is_authenticated, |_: &ServerSession| None, ServerSession::handle_somebody_else);
