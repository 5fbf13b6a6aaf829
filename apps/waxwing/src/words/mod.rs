//! Every sentence that this program itself says to people, in one place, to be read as a whole.
//!
//! What the engine and the store say stands with their errors (`client::Failure`, `client::CommandError`,
//! `store::StoreError`); help stands with the arguments. All of it together is written to `apps/waxwing/words/all.txt`, which
//! a test compares and `BLESS=1 cargo test -p waxwing words` writes anew. A second test finds sentences that stand
//! elsewhere in the sources.
//!
//! A good sentence says what happened, why, and what to do next, in plain words. It is read by somebody who does not know how
//! this program is made.

pub(crate) mod refusals;
pub(crate) mod results;
#[cfg(test)]
mod tests;

/// Makes a function of each sentence, and a list of all. What is put into a sentence is made harmless for a terminal first.
macro_rules! sentences {
    ($( $(#[$doc:meta])* $name:ident($($argument:ident),*) = $text:literal; )*) => {
        $(
            $(#[$doc])*
            pub(crate) fn $name($($argument: impl std::fmt::Display),*) -> String {
                $( let $argument = $crate::terminal::plain::name(&$argument.to_string()); )*
                format!($text)
            }
        )*

        /// The sentences, as they stand in the source.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $text)),*];
    };
}
pub(crate) use sentences;
