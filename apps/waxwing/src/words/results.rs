//! What commands print: results, what to do next, questions.

use super::sentences;

sentences! {
    joined(address) = "Welcome. Your address is {address}.";
    invited_by(address, name) = "{address} invited you and is your first contact. Write to them: waxwing say {name} \"Hello\"";
    server_moved(address) = "Your server was reached at the address of that link, and is looked for there from now on. You are {address}.";
    signed_in(address) = "You are signed in as {address}.";
    invite_somebody() = "Next: make a link for somebody whom you want to talk to: waxwing invite";

    invite_link() = "Give this link to one person. It opens an account for them, or adds you to theirs:";
    invite_page() = "The same as a web page, for somebody who has no app yet:";

    contact_added(name, address) = "{name} ({address}) is your contact now.";
    write_to(name) = "Write to them: waxwing say {name} \"Hello\"";
    link_may_be_cut_off() =
        "The link had nothing behind its first part. If there is more of it, put all of it in quotes and add it again: waxwing \
         add 'xmpp:...'";
    contact_accepted(name) = "{name} is your contact now.";
    presence_granted(who) = "{who} can see when you are online. To take that back: waxwing contacts revoke {who}";
    presence_revoked(who) = "{who} cannot see when you are online.";
    ask_presence(name) = "{name}'s app asks to see when you are online. Let it? yes, no, later: ";
    asks_presence(name, who) =
        "{name}'s app asks to see when you are online. Let it: waxwing contacts grant {who}   or say no: waxwing contacts \
         revoke {who}";
    ask_receipts() = "May your contacts see that their messages arrived here? yes, no, later: ";
    receipts_on(who) = "{who} can see that their messages arrive. To take that back: waxwing contacts receipts {who} off";
    receipts_off(who) = "{who} cannot see whether their messages arrive.";
    receipts_on_for_all() =
        "Your contacts can see that their messages arrive. To take that back: waxwing contacts receipts off   or for one of \
         them: waxwing contacts receipts <who> off";
    receipts_off_for_all() =
        "Your contacts cannot see whether their messages arrive. To let one of them see it: waxwing contacts receipts <who> on";
    contact_blocked(name) = "{name} is blocked: you will not see what they write. To take it back: waxwing contacts accept {name}";
    contact_removed(name) = "{name} and your conversation with them are removed from this machine.";
    contact_renamed(who, name) = "You call {who} {name} from now on.";
    no_contacts() =
        "You have no contacts yet. Make a link for somebody (waxwing invite), or use one that you were given (waxwing add \
         'xmpp:...').";

    number_with(name) = "Your number with {name}:";
    compare_it(name) = "Read it to each other, by phone or face to face. If {name} sees the same number:";
    or_by_link() = "Or give them this link directly, and take theirs:";
    verified(name) = "{name} is verified: you will be told if somebody else takes their place.";
    change_accepted(name) = "You can write to {name} again. They are not verified any more: waxwing verify {name}";

    sent() = "Sent.";
    saved() = "Saved. Your server has not confirmed it yet; it is sent with the next command, or by `waxwing inbox --follow`.";
    replaced() = "Some characters in it cannot be sent. A replacement sign (\u{fffd}) stands in their place.";
    kept_for_days() =
        "The message is kept and tried again for three days, with each command and by `waxwing inbox --follow`. What waits: \
         waxwing outbox";
    outbox_empty() = "Nothing is waiting to be sent.";
    cancelled() = "It is taken back. If it was on its way already, it may still arrive.";
    queued_greeting() = "(the greeting by which they add you)";
    queued_without_reason() = "It is waiting for a connection.";
    queued_times(next, until) = "Next try: {next}. Kept until {until}.";
    queued_to(name) = "to {name}";
    needs_invite(name) = "{name} has no app that can read encrypted messages, so nothing was sent.";
    make_them_a_link() = "Make a link for them and give it to them in another way: waxwing invite";

    nothing_new() = "Nothing new.";
    no_messages() = "No messages yet.";
    file_saved(path) = "    saved as {path}";
    listening() = "Connected. New messages appear here; Ctrl-C ends it.";
    listening_offline() = "Not connected yet. New messages appear here once it is; Ctrl-C ends it.";
    connected_again() = "Connected.";
    connection_lost() = "The connection to your server is gone. It is tried again by itself.";
    own_message_sent(name) = "Your message to {name} is with your server.";
    own_message_delivered(name) = "Your message to {name} has arrived.";
    own_message_failed(name, why) = "Your message to {name} was not sent. {why}";
    own_message_waits(name, why) = "Your message to {name} is waiting. {why}";
    file_not_fetched(why) = "    not here: {why}";
    waiting() = "Waiting for your server ...";
    still_waiting() = "Still waiting for your server. Ctrl-C ends it.";
    late_file_saved(path) = "    a file that could not be fetched before is here now: {path}";
    server_not_reached() = "Your server cannot be reached at the moment. Shown is what had arrived before.";
    answer_requests(who) = "To write back: waxwing contacts accept {who}\nTo hear nothing more: waxwing contacts block {who}";
    resembles(name, address) = "This name looks like that of {name} ({address}), who is your contact. It is somebody else.";
    more_not_kept() = "They have written more than is kept of somebody who is not your contact (20 messages).";
    warning(about, warning) = "! {about}: {warning}";
    one_request() = "Somebody who is not in your contacts wrote to you: waxwing inbox --requests";
    many_requests(count) = "{count} people who are not in your contacts wrote to you: waxwing inbox --requests";
    clock_behind(days) = "The clock of this machine is {days} days behind where it was. Nothing expires and no key is renewed until it has run for a day, or you say that it is right: waxwing status --accept-clock";
    clock_ahead(days) = "The clock of this machine is {days} days ahead of where it was. Nothing expires and no key is renewed until it has run for a day, or you say that it is right: waxwing status --accept-clock";
    no_witness() = "Your server does not keep what would show that this profile was put back from a backup. Do not put one back.";
    new_request(who) = "{who}, who is not in your contacts, wrote to you: waxwing inbox --requests";

    account_none() = "There is no account here yet.";
    account_online(address) = "{address}: connected";
    account_refused(address) = "{address}: cannot sign in";
    account_offline(address) = "{address}: not connected";
    counts(contacts, unread) = "Contacts: {contacts}   Unread: {unread}";
    to_be_sent(count) = "Waiting to be sent: {count}";

    device_agreed(number) = "The app {number} can read along from now on.";
    device_refused(number) = "The app {number} gets nothing from now on.";
    this_device(number) = "{number}  this app";
    decide_own_device(number) =
        "Is it yours? Compare the digits with those that the app shows.\nYes: waxwing devices agree {number}\nNo: waxwing devices \
         refuse {number}";
    decide_device_of(who, number) =
        "Ask {who} whether it is theirs.\nYes: waxwing devices --of {who} agree {number}\nNo: waxwing devices --of {who} \
         refuse {number}\nBetter still: waxwing verify {who}";
    device_label(label) = "calls itself \"{label}\"";
    device_since(time) = "here since {time}";
    device_compared() = "compared: can read along";
    device_reads() = "can read along";
    device_is_refused() = "refused: gets nothing";
    device_has_no_key() = "gets nothing: it has not shown a key yet";
    device_waits() = "waits for your answer; it gets nothing until then";
    device_is_unlisted() = "gets nothing: the server does not list it any more";
    no_other_device() = "Your account has no other app.";
    another_device() = "Your account has another app:";
    where_the_digits_are() = "That app shows the same digits, on its page about encryption or about this account.";
    answer_yes_no_later() = "Please answer yes, no or later.";
    own_device_agreed() = "It can read along from now on.";
    own_device_refused() =
        "It gets nothing. Whoever added it may know your password. Change it: waxwing account password --generate";
    own_device_later() = "Until you decide, it can read nothing. Decide: waxwing devices";
    ask_device() = "Is it yours? [yes, no, later] ";

    password_generated() = "The password is changed to a new one that waxwing made up and keeps for you.";
    password_changed() = "The password is changed.";
    account_deleted() = "The account is deleted, on its server and on this machine.";
    nothing_deleted() = "Nothing was deleted.";

    all_commands() = "All commands: waxwing --help";
    default_setting() = "(default)";
    no_notices() = "There is nothing that you have not seen.";

    step_join() = "There is no account here yet. If somebody gave you an invite link, use it, in quotes:";
    step_refused() = "Your account cannot sign in. See why:";
    step_read() = "You have unread messages:";
    step_requests() = "Somebody who is not in your contacts wrote to you:";
    step_send() = "Something is waiting to be sent. Stay connected until it is:";
    step_invite() = "You have no contacts yet. Make a link and give it to somebody:";
    step_follow() = "You have read everything. To stay and see what comes:";

    you() = "you";
    you_to(name) = "you to {name}";
    unknown_content() = "(this version of waxwing cannot show this message)";
    will_be_sent(why) = "  (will be sent{why})";
    has_arrived() = "  (arrived)";
    was_not_sent(why) = "  (not sent{why})";
    file_named(name, size) = "[file {name}{size}]";
    file_not_here(name, size, why) = "[file {name}{size}. Not here: {why}]";
    your_account() = "Your account";
    times(count, last) = "{count} times, last {last}";
    contact_verified() = "verified";
    contact_changed() = "changed: compare numbers before you write";
    contact_gone() = "gave up this account";
    contact_is_blocked() = "blocked";
    contact_unread(count) = "{count} unread";
    contact_held(count, who) =
        "{count} held back, because they came from an app that you have not confirmed: waxwing devices --of {who}";
    mark_verified() = "[verified] ";
    mark_new_app() = "[new app] ";
    mark_legacy() = "[older encryption] ";
    contact_legacy() = "one of the apps knows only the older encryption, which is weaker";
    contact_new_device() = "has a new device: compare numbers";

    ask_password() = "Password: ";
    ask_new_password() = "New password: ";
    ask_password_again() = "The same once more: ";
    ask_name() = "Which user name would you like? It is the part of your address in front of the @: ";
    ask_interrupted() =
        "\nStop sending? It has not arrived at your server yet. [stop: take it back, later: send it another time, go on] ";
    ask_delete() =
        "This deletes your account on its server and all conversations on this machine, and cannot be undone. Type yes to go \
         on: ";
}
