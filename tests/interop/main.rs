//! Other people's servers and clients, from empty accounts each time.

mod dialogues;
mod dino;
mod federation;
mod go_sendxmpp;
mod home_servers;
mod lost_sessions;
mod oracles;
mod ours;
mod profanity;
mod servers;
mod slixmpp;
