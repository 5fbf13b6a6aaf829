//! demo
use crate::cli::{Console, Exit};
pub(crate) async fn run(_console: &mut Console) -> Exit {
    Exit::Failed
}
