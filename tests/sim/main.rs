//! Brokers and people in one process: the real `broker` and the real `client` engines, and a network, a clock and disks
//! that are made up from a seed.
//!
//! Nothing here waits: time is virtual, bytes arrive when the seed says, and a machine dies between two calls or in the
//! middle of a commit. The same seed gives the same run. A test that fails prints its seed; `WAXWING_SIM_SEED=<seed>`
//! runs that one again, `WAXWING_SIM_ROUNDS=<n>` runs more of them.
//!
//! | module | owns |
//! |---|---|
//! | [`world`] | the machines, what connects them, and the order in which things happen |
//! | [`dice`] | everything that is left to chance |
//! | [`record`] | what crossed the network, searched for words and for ratchet keys that were used twice |
//! | `conversations`, `network`, `disks`, `schedules`, `secrecy`, `strangers`, `hostile` | the tests |
//! | `first_light` | that what the first version wrote is read |
//! | `promises` | that the tests which `docs/threat-model.md` names are there |
//!
//! TLS is played by handing the same facts to both ends of a link. What is recorded is what travels inside TLS: more than
//! anybody on the network sees, and exactly what the brokers see.

mod dice;
mod first_light;
mod record;
mod stanzas;
mod world;

mod conversations;
mod disks;
mod hostile;
mod network;
mod promises;
mod schedules;
mod secrecy;
mod strangers;
