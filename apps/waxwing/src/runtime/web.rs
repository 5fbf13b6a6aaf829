//! HTTPS requests of the engine, each under the rule that it names (attack row F04).

use bytes::{Bytes, BytesMut};
use client::output::{HttpFailure, HttpId, HttpMethod, HttpOutcome, HttpRequest, PrivateAddresses, ServerIdentity};
use net::certificate::Pin;
use net::dial::{HostPort, OpenError};
use net::http::{Access, Fetch, HttpError, HttpsUrl, Place, Upload};
use net::tls::TlsError;
use tokio::sync::mpsc;

use super::network::Network;

/// How much of an upload is handed out at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What is told about a request.
pub(super) enum Report {
    /// It is so far.
    Progress(HttpId, u64),
    /// It has ended.
    Done(HttpId, HttpOutcome),
}

/// Makes a request in a task of its own.
pub(super) fn begin(request: HttpRequest, network: Network, reports: mpsc::UnboundedSender<Report>) {
    tokio::spawn(async move {
        let id = request.id;
        let outcome = match make(request, &network, &reports).await {
            Ok((status, body)) => HttpOutcome::Response { status, body },
            Err(HttpError::Status(status)) => HttpOutcome::Response { status, body: Bytes::new() },
            Err(error) => HttpOutcome::Failed(failure(&error)),
        };
        let _ = reports.send(Report::Done(id, outcome));
    });
}

async fn make(
    request: HttpRequest,
    network: &Network,
    reports: &mpsc::UnboundedSender<Report>,
) -> Result<(u16, Bytes), HttpError> {
    let access = match (request.private_addresses, &request.identity) {
        (PrivateAddresses::Refuse, _) => Access::Public,
        (PrivateAddresses::Allow, ServerIdentity::Pin(pin)) => Access::Pinned(Pin::from_bytes(*pin)),
        (PrivateAddresses::Allow, identity) => Access::OwnBroker(network.trust(identity)),
    };
    let at = request.addresses.iter().map(|address| HostPort::new(address.host.as_str(), address.port));
    let place = Place::new(HttpsUrl::parse(&request.url)?, access).at(at);
    let id = request.id;
    let progress = |done_bytes| {
        let _ = reports.send(Report::Progress(id, done_bytes));
    };
    match request.method {
        HttpMethod::Put => {
            let upload = in_pieces(request.body, id, reports.clone());
            network.http().put(&place, &request.headers, upload).await?;
            Ok((201, Bytes::new()))
        }
        HttpMethod::Get => {
            let mut body = BytesMut::new();
            let fetch = Fetch { place, offset: 0, max_bytes: request.response_bytes_max };
            let mut write = |piece: &[u8]| {
                body.extend_from_slice(piece);
                progress(body.len() as u64);
                Ok(())
            };
            network.http().get(&fetch, &mut |_| Ok(()), &mut write).await?;
            Ok((200, body.freeze()))
        }
    }
}

fn in_pieces(mut body: Bytes, id: HttpId, reports: mpsc::UnboundedSender<Report>) -> Upload {
    let mut done_bytes = 0;
    Upload::new(body.len() as u64, move || {
        let piece = body.split_to(body.len().min(PIECE_BYTES));
        done_bytes += piece.len() as u64;
        let _ = reports.send(Report::Progress(id, done_bytes));
        Ok((!piece.is_empty()).then_some(piece))
    })
}

fn failure(error: &HttpError) -> HttpFailure {
    match error {
        HttpError::Tls(TlsError::Certificate(_)) => HttpFailure::NotTrusted,
        HttpError::Open(OpenError::NotPublic) => HttpFailure::PrivateAddress,
        HttpError::NotHttps | HttpError::BadUrl | HttpError::RedirectElsewhere | HttpError::TooManyRedirects => {
            HttpFailure::Redirected
        }
        HttpError::TooLarge => HttpFailure::TooLarge,
        _ => HttpFailure::Network,
    }
}
