//! What a broker does with a message that it could read, and with one that it could not:
//! `cargo run -p waxwing-xep --example policy`.

use waxwing_xep::policy::{E2eePolicy, Verdict, inspect};
use xmpp::ns;
use xmpp::xml::{Element, Frame};

/// Shows both.
pub(crate) fn main() {
    let message = || Element::new("message", ns::CLIENT).with_attr("type", "chat");
    let body = || Element::new("body", ns::CLIENT).with_text("Where are you?");

    // words in the clear go back to their sender, who is told what to do
    let readable = Frame::from_element(&message().with_child(body()), ns::CLIENT);
    let Verdict::Reject(error) = inspect(&readable, E2eePolicy::Required) else {
        panic!("a readable message passed");
    };
    println!("refused: {}", error.text.unwrap_or_default());

    // an encrypted message passes, without the words that some apps put beside it
    let omemo = "urn:xmpp:omemo:2";
    let key = Element::new("key", omemo).with_attr("rid", "31415").with_text("AAAA");
    let keys = Element::new("keys", omemo).with_attr("jid", "bob@example.org").with_child(key);
    let header = Element::new("header", omemo).with_attr("sid", "27183").with_child(keys);
    let encrypted = Element::new("encrypted", omemo).with_child(header);
    let sealed = Frame::from_element(&message().with_child(encrypted).with_child(body()), ns::CLIENT);
    let Verdict::Strip(drop) = inspect(&sealed, E2eePolicy::Required) else {
        panic!("the words beside an encrypted element stayed");
    };
    let stripped = sealed.splice().drop_children(drop).finish();
    assert!(stripped.root().child("body", ns::CLIENT).is_none());
    println!("passed:  {}", String::from_utf8_lossy(stripped.bytes()));
}
