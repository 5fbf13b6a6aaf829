//! [`every!`](crate::every!): lists that the compiler keeps complete.

/// Lists values of an enum, at least one of each variant; does not compile when a variant is missing.
///
/// The words that the programs show people are kept in files that tests compare, and those go through such lists.
#[doc(hidden)]
#[macro_export]
macro_rules! every {
    ($name:tt { $($variant:ident => [$($value:expr),+ $(,)?]),+ $(,)? }) => {{
        let all = vec![$($($value),+),+];
        for value in &all {
            match value { $($name::$variant { .. } => {})+ }
        }
        all
    }};
    ($name:tt { $($variant:ident),+ $(,)? }) => {
        $crate::every!($name { $($variant => [$name::$variant]),+ })
    };
}
