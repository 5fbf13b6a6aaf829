//! From the engine's values to those of [`super`].

use client::command::{Number, Outcome, Queued, Reply, Status, WitnessState};
use client::display::address_warnings;
use client::event::{
    AccountState, Contact, Content, Device, DeviceState, Direction, FileOffer, FileState, Message, MessageState,
    PersonTrust, Relation,
};
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

use super::{
    Answer, ContactView, DeviceView, Event, FileView, MessageView, NumberView, QueuedView, Refusal, StatusView, notices,
};
use crate::words::results;

/// What a command answered at once; nothing for what ends later.
pub(crate) fn answer(reply: Reply) -> Option<Answer> {
    Some(match reply {
        Reply::Nothing => Answer::Done,
        Reply::Saved { contact, message, replaced } => {
            Answer::Saved { contact: contact.as_str().to_owned(), message: message.as_str().to_owned(), replaced }
        }
        Reply::Outbox(queued) => Answer::Outbox { queued: queued.into_iter().map(queued_view).collect() },
        Reply::Contact(contact) => Answer::Contact { contact: contact_view(&contact) },
        Reply::Contacts(contacts) => Answer::Contacts { contacts: contact_views(&contacts) },
        Reply::Messages(messages) => Answer::Messages { messages: messages.into_iter().map(message_view).collect() },
        Reply::Notices(notices) => Answer::Notices { notices: notices.iter().map(notices::view).collect() },
        Reply::Devices(devices) => Answer::Devices {
            devices: devices.devices.iter().map(device_view).collect(),
            own_id: devices.own_id,
            own_fingerprint: devices.own_fingerprint,
            is_complete: devices.is_complete,
        },
        Reply::Number(number) => Answer::Number { number: number_view(number) },
        Reply::Status(status) => Answer::Status { status: status_view(&status) },
        _ => return None,
    })
}

/// How a command ended.
pub(crate) fn outcome(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Joined { address, invited_by } => Answer::Joined {
            address: address.as_str().to_owned(),
            invited_by: invited_by.map(|inviter| inviter.as_str().to_owned()),
        },
        Outcome::LoggedIn { address } => Answer::LoggedIn { address: address.as_str().to_owned() },
        Outcome::Invited { link, page } => Answer::Invited { link, page },
        Outcome::Fetched { .. } => Answer::Fetched { path: None },
        _ => Answer::Done,
    }
}

/// What happened; nothing for what only the runtime needs to know.
pub(crate) fn event(event: client::Event) -> Option<Event> {
    use client::Event as E;
    Some(match event {
        E::Account(state) => {
            let (state, reason) = account_state(&state);
            Event::Account { state: state.to_owned(), reason }
        }
        E::CaughtUp => Event::CaughtUp,
        E::Message(message) => Event::Message { message: message_view(message) },
        E::MessageState { contact, id, state } => {
            let (state, reason) = message_state(&state);
            Event::MessageState {
                contact: contact.as_str().to_owned(),
                message: id.as_str().to_owned(),
                state: state.to_owned(),
                reason,
            }
        }
        E::Contact(contact) => Event::Contact { contact: contact_view(&contact) },
        E::ContactRemoved { contact } => Event::ContactRemoved { contact: contact.as_str().to_owned() },
        E::Request(contact) => Event::Request { contact: contact_view(&contact) },
        E::FileProgress { contact, message, state } => Event::File {
            contact: contact.as_str().to_owned(),
            message: message.as_str().to_owned(),
            file: file_view(&FileOffer { name: String::new(), size_bytes: None, media_type: None, state }),
        },
        E::OwnDevices => Event::OwnDevices,
        E::Notice(notice) => notices::event(&notice),
        _ => return None,
    })
}

fn account_state(state: &AccountState) -> (&'static str, Option<Refusal>) {
    match state {
        AccountState::None => ("none", None),
        AccountState::Offline => ("offline", None),
        AccountState::Connecting => ("connecting", None),
        AccountState::Online => ("online", None),
        AccountState::Refused(failure) => ("refused", Some(Refusal::from(*failure))),
        _ => ("unknown", None),
    }
}

fn message_state(state: &MessageState) -> (&'static str, Option<Refusal>) {
    match state {
        MessageState::Waiting => ("waiting", None),
        MessageState::Delayed(failure) => ("waiting", Some(Refusal::from(*failure))),
        MessageState::Queued => ("queued", None),
        MessageState::AtBroker => ("sent", None),
        MessageState::Delivered => ("delivered", None),
        MessageState::Undeliverable(failure) => ("failed", Some(Refusal::from(*failure))),
        MessageState::Received => ("received", None),
        _ => ("unknown", None),
    }
}

fn contact_views(contacts: &[Contact]) -> Vec<ContactView> {
    contacts
        .iter()
        .map(|contact| {
            let known = contacts.iter().map(|other| &other.address);
            ContactView { warnings: warnings(contact, known), ..contact_view(contact) }
        })
        .collect()
}

/// What is odd about somebody's name or address, what matters most first.
fn warnings<'a>(contact: &Contact, known: impl IntoIterator<Item = &'a BareJid>) -> Vec<String> {
    let resembles = contact.resembles.as_ref().map(|other| results::resembles(&other.name, other.address.as_str()));
    let odd = address_warnings(&contact.address, known).into_iter().map(|warning| warning.words().to_owned());
    let more = contact.more_not_kept.then(results::more_not_kept);
    resembles.into_iter().chain(odd).chain(more).collect()
}

fn contact_view(contact: &Contact) -> ContactView {
    let relation = match contact.relation {
        Relation::Request => "request",
        Relation::Accepted => "accepted",
        Relation::Blocked => "blocked",
    };
    let identity = match contact.trust {
        PersonTrust::Tofu => "unverified",
        PersonTrust::Verified => "verified",
        PersonTrust::Changed => "changed",
        PersonTrust::Tombstoned => "gone",
    };
    ContactView {
        address: contact.address.as_str().to_owned(),
        name: contact.name.clone(),
        relation: relation.to_owned(),
        identity: identity.to_owned(),
        unread_count: contact.unread_count,
        asks_presence: contact.asks_presence,
        sees_presence: contact.sees_presence,
        receipts: contact.receipts,
        undecided_devices_count: contact.undecided_devices_count,
        legacy: contact.legacy,
        held_count: contact.held_count,
        warnings: warnings(contact, []),
    }
}

fn message_view(message: Message) -> MessageView {
    let (text, file) = content_view(message.content);
    let (state, reason) = message_state(&message.state);
    MessageView {
        contact: message.contact.as_str().to_owned(),
        contact_name: message.contact_name,
        seq: message.seq,
        id: message.id.as_str().to_owned(),
        direction: match message.direction {
            Direction::Incoming => "in",
            Direction::Outgoing => "out",
        }
        .to_owned(),
        written_at: message.written_at.to_xep0082(),
        saved_at: message.saved_at.to_xep0082(),
        text,
        file,
        state: state.to_owned(),
        reason,
        verified: message.verified,
        new_app: message.new_app,
        legacy: message.legacy,
        read: message.read,
        request: message.request,
    }
}

fn device_view(device: &Device) -> DeviceView {
    DeviceView {
        id: device.id,
        fingerprint: device.fingerprint.clone(),
        label: device.label.clone(),
        first_seen_at: device.first_seen_at.map(|at| at.to_xep0082()),
        state: match device.state {
            DeviceState::Undecided => "undecided",
            DeviceState::Believed => "believed",
            DeviceState::Compared => "compared",
            DeviceState::Refused => "refused",
        }
        .to_owned(),
        listed: device.is_listed,
        put_off: device.is_put_off,
    }
}

fn content_view(content: Content) -> (Option<String>, Option<FileView>) {
    match content {
        Content::Text(text) => (Some(text), None),
        Content::File(offer) => (None, Some(file_view(&offer))),
        _ => (None, None),
    }
}

fn queued_view(queued: Queued) -> QueuedView {
    let (text, file) = queued.content.map_or((None, None), content_view);
    let (state, reason) = message_state(&queued.state);
    QueuedView {
        contact: queued.contact.as_str().to_owned(),
        contact_name: queued.contact_name,
        message: queued.message.as_str().to_owned(),
        text,
        file,
        state: state.to_owned(),
        reason,
        written_at: queued.written_at.to_xep0082(),
        tried_at: queued.tried_at.map(Timestamp::to_xep0082),
        next_at: queued.next_at.map(Timestamp::to_xep0082),
        kept_until: queued.kept_until.map(Timestamp::to_xep0082),
    }
}

fn file_view(offer: &FileOffer) -> FileView {
    let (state, done_bytes, total) = match &offer.state {
        FileState::Offered => ("offered", None, None),
        FileState::Moving { done_bytes, total_bytes } => ("moving", Some(*done_bytes), Some(*total_bytes)),
        FileState::Complete => ("complete", None, None),
        _ => ("failed", None, None),
    };
    let reason = match &offer.state {
        FileState::Failed(failure) => Some(Refusal::from(*failure)),
        _ => None,
    };
    FileView {
        name: offer.name.clone(),
        size_bytes: offer.size_bytes.or(total),
        media_type: offer.media_type.clone(),
        state: state.to_owned(),
        done_bytes,
        reason,
    }
}

fn number_view(number: Number) -> NumberView {
    NumberView { contact: contact_view(&number.contact), digits: number.digits, own_link: number.own_link }
}

fn status_view(status: &Status) -> StatusView {
    StatusView {
        address: status.address.as_ref().map(|address| address.as_str().to_owned()),
        account: account_state(&status.account).0.to_owned(),
        waiting_count: status.waiting_count,
        queued_count: status.queued_count,
        unread_count: status.unread_count,
        requests_count: status.requests_count,
        contacts_count: status.contacts_count,
        clock_ahead_ms: status.clock_ahead_ms,
        witness: match status.witness {
            WitnessState::Unknown => "unknown",
            WitnessState::Kept => "kept",
            WitnessState::Refused => "refused",
            WitnessState::Silent => "silent",
        }
        .to_owned(),
    }
}
