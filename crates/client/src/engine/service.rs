//! What this engine tells others about itself, and what it finds out about the own server.

use xep::caps;
use xep::disco::{self, Identity, Info, Items};
use xmpp::jid::Jid;
use xmpp::stanza::{self, Condition, StanzaError};
use xmpp::xml::Element;

use super::{Answer, Engine, Question};
use crate::error::EngineError;
use crate::tables::ContactRow;

/// Where capabilities are named (XEP-0115 §5.1).
const CAPS_NODE: &str = "https://waxwing.example/caps";

/// What this engine can do, as it says to those who may know.
fn own_info(node: Option<String>) -> Info {
    let features = [
        disco::NS_INFO,
        caps::NS,
        xep::ping::NS,
        xep::sce::NS,
        xep::eme::NS,
        "urn:xmpp:omemo:2:devices+notify",
        "eu.siacs.conversations.axolotl.devicelist+notify",
    ];
    Info {
        node,
        identities: vec![Identity::new("client", "console", Some("Waxwing"))],
        features: features.into_iter().map(str::to_owned).collect(),
        forms: Vec::new(),
    }
}

impl Engine {
    /// Presence without status: the own server delivers from now on. It reaches nobody else, because nobody is subscribed.
    pub(super) fn send_own_presence(&mut self) {
        let presence = Element::new("presence", xmpp::ns::CLIENT)
            .with_child(Element::new("priority", xmpp::ns::CLIENT).with_text("0"))
            .with_child(caps::Caps::announcing(&own_info(None), CAPS_NODE).to_element());
        self.send_stanza(&presence, None);
    }

    /// Answers a question: to the own server and to contacts; to anybody else this account might as well not be there.
    pub(super) async fn answer_request(&mut self, iq: &Element) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let from = iq.attr("from").map(Jid::parse);
        let trusted = match &from {
            None => true,
            Some(Ok(from)) if from.bare() == own || from.as_str() == own.domainpart() => true,
            Some(Ok(from)) => self.contact_row(&own, &from.bare()).await?.as_ref().is_some_and(ContactRow::is_accepted),
            Some(Err(_)) => return Ok(()),
        };
        let unavailable = || stanza::reply_error(iq, &StanzaError::new(Condition::ServiceUnavailable));
        let answer = match iq.children().next() {
            _ if !trusted => unavailable(),
            Some(ping) if ping.is("ping", xep::ping::NS) && xep::ping::is_request(iq) => xep::ping::answer(iq),
            Some(query) if query.is("query", disco::NS_INFO) && iq.attr("type") == Some("get") => {
                let info = own_info(query.attr("node").map(str::to_owned));
                stanza::reply_result(iq, Some(info.to_element()))
            }
            // The roster is not used, so a push changes nothing; it is acknowledged only to the own server (X03).
            Some(query)
                if query.is("query", xmpp::ns::ROSTER)
                    && xep::origin::may_push_roster(from.and_then(Result::ok).as_ref(), &own) =>
            {
                stanza::reply_result(iq, None)
            }
            _ => unavailable(),
        };
        self.send_stanza(&answer, None);
        Ok(())
    }

    /// Looks for the services of the own server, of which file upload is one.
    pub(super) fn ask_server_features(&mut self) {
        let Some(domain) = self.account.as_ref().and_then(|a| Jid::parse(a.jid.domainpart()).ok()) else { return };
        self.transfers.search_begins();
        self.transfers.search_step();
        self.ask("get", Some(&domain), Items::query(None), Question::ServerItems);
        self.transfers.search_step();
        self.ask("get", Some(&domain), Info::query(None), Question::ServiceFeatures { service: domain.clone() });
    }

    pub(super) async fn server_items(&mut self, answer: &Answer) -> Result<(), EngineError> {
        let items = match answer {
            Answer::Result(Some(query)) => Items::parse(query).unwrap_or_default(),
            _ => Items::default(),
        };
        for item in items.items.into_iter().filter(|item| item.node.is_none()).take(20) {
            self.transfers.search_step();
            self.ask(
                "get",
                Some(&item.jid),
                Info::query(None),
                Question::ServiceFeatures { service: item.jid.clone() },
            );
        }
        self.search_answered().await
    }

    pub(super) async fn service_features(&mut self, service: Jid, answer: &Answer) -> Result<(), EngineError> {
        if let Answer::Result(Some(query)) = answer
            && let Ok(info) = Info::parse(query)
            && info.has_feature(xep::upload::NS)
        {
            self.upload_service_found(service, xep::upload::max_file_size(&info)).await?;
        }
        self.search_answered().await
    }
}
