//! What crossed the network, inside TLS.

use client::output::HttpRequest;

use crate::world::Crossing;

/// Everything that was sent.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) crossings: Vec<Crossing>,
    /// What was uploaded, and where things were asked for.
    pub(crate) http: Vec<Vec<u8>>,
}

impl Record {
    pub(crate) fn note(&mut self, crossing: &Crossing) {
        self.crossings.push(crossing.clone());
    }

    pub(crate) fn note_http(&mut self, request: &HttpRequest) {
        self.http.push(request.url.clone().into_bytes());
        self.http.push(request.body.to_vec());
    }
}
