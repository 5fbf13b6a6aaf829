//! Why something could not be done.

use super::sentences;

sentences! {
    no_home() = "This user has no home directory. Say where your profile should be: --home DIR";
    profile_unusable(directory, reason) =
        "Your profile cannot be opened at {directory}: {reason}. Check that this directory can be written to, or choose \
         another with --home DIR.";
    profile_unreadable(file, reason) =
        "Your profile in {file} cannot be opened: {reason}. If a newer waxwing was used with it before, update this one.";
    profile_data_missing(directory, key_file) =
        "{directory} holds no messages, but the key file {key_file} has opened some before. Nothing was changed. Is a disk not \
         mounted? Mount it, or put the directory back from a backup. To begin with an empty profile, move the key file away: mv \
         {key_file} {key_file}.old";
    profile_in_use() =
        "Another waxwing is using this profile and does not answer. End it (a waxwing that runs in another terminal?), then \
         try again.";
    other_version() =
        "A waxwing of another version is running with this profile. End it (an `inbox --follow` in another terminal?), then \
         try again.";
    other_ended() =
        "The waxwing that was running with this profile ended before it answered. What it had done shows in `waxwing \
         history`; then try again.";
    closing() = "Waxwing is about to end. Try again.";

    server_not_reached(seconds) =
        "Your server did not answer within {seconds} seconds. Check the network; with a link from somebody, check that all of \
         it is there. To wait longer: --wait SECONDS";
    password_needs_file() =
        "A password is needed, and there is no terminal to ask for it. Put it into a file: --password-file FILE";
    no_password() = "No password was given. Nothing was changed.";
    password_file_unusable(file, reason) = "The password file {file} cannot be read: {reason}.";
    password_file_empty(file) = "The first line of the password file {file} is empty. The password belongs there.";
    passwords_differ() = "You typed two different passwords. Nothing was changed; try again.";
    page_not_trusted() =
        "The page of this link is on a server whose certificate is not trusted here. Open the page in a browser, and copy from \
         it the link that begins with xmpp:";
    page_not_reached() =
        "The page of this link cannot be reached. Check the network and that all of the link is there; or ask for the link that \
         begins with xmpp:";
    page_without_link() = "There is no invite link on this page. Ask for the link that begins with xmpp:";
    delete_needs_yes() = "Deleting an account cannot be undone. If you mean it: waxwing account delete --yes";

    input_unusable(reason) = "Standard input cannot be read: {reason}.";
    input_not_text() = "Standard input is not text (UTF-8). To send it as it is, save it and use `waxwing send`.";
    message_too_long() = "This is too long for one message. Save it in a file and send that: waxwing send WHO FILE";
    file_unusable(file, reason) = "The file {file} cannot be sent: {reason}.";
    file_is_a_directory(file) = "{file} is a directory. Pack it into one file first, for example with tar or zip.";
    file_not_regular(file) = "{file} is not a file with content that could be sent (a device or a socket).";
    file_too_large(file, mebibytes) = "{file} is too large to be sent: the limit is {mebibytes} MiB.";
    pin_unusable() = "This is not a pin. It has 43 letters, digits, - and _: what stands after wx-pin= in the links of the server.";
    ca_file_unusable(reason) = "--ca-file cannot be used: {reason}.";
    path_hex_unusable() = "`path_hex` must be the bytes of the path in hexadecimal digits.";
    file_not_saved(reason) =
        "The file arrived and could not be saved: {reason}. Make room, or choose another place (waxwing config set files DIR); \
         then `waxwing inbox` fetches it again.";
    not_sent() = "The message was not sent, and the reason is not known here. See `waxwing history`.";

    setting_unknown(name, names) = "There is no setting called {name}. There are: {names}.";
    setting_proxy() = "A proxy is given as address and port, like 127.0.0.1:9050.";
    setting_wait() = "The time to wait is a number of seconds, like 30.";
    settings_unusable(file, reason) =
        "The settings in {file} cannot be read or written: {reason}. Mend the file, or remove it to start with the defaults.";
    authorities_unusable(file, reason) = "The certificates in {file} cannot be used: {reason}.";
    authorities_missing(file) =
        "There is no certificate in {file}. It should begin with -----BEGIN CERTIFICATE-----";
    host_unusable() = "A host is a name or an address, with a port where it is not the usual one: host.example:5222";

    choose_a_name() = "Choose one: --name NAME";
    choose_another_name() = "Choose another: --name NAME";
    ca_file_helps() =
        "If the server has an authority of its own and you have its certificate, give it: --ca-file FILE";
    name_the_profile() = "For another account use another profile: waxwing --home DIR ...";
    join_or_login() = "With an invite link: waxwing join 'xmpp:...'\nWith an account: waxwing login you@example.org";
    invite_helps() = "Give them an invite link: waxwing invite";
    comparing_helps() = "Compare numbers with them: waxwing verify NAME";
    number_helps() = "See it: waxwing verify NAME";
    accepting_helps() = "To take the block back: waxwing contacts accept NAME";
    signing_in_helps() = "With the new password: waxwing login ADDRESS";
    rpc_not_json() = "This line is not a JSON object.";
    rpc_not_a_request() = "This object is not a JSON-RPC 2.0 request: it needs \"jsonrpc\": \"2.0\" and a \"method\".";
    rpc_no_method(method) = "There is no method {method} that takes these parameters.";

    candidates(addresses) = "They are: {addresses}.";
    list_contacts() = "Your contacts: waxwing contacts";
}
