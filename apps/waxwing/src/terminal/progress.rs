//! A bar for long transfers.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::api::FileView;

/// A bar on standard error, when that is a terminal.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    shown: bool,
}

impl Progress {
    /// Makes a bar that shows nothing yet.
    #[must_use]
    pub fn new(shown: bool) -> Self {
        Self { bar: None, shown }
    }

    /// Shows how far a file is.
    pub fn update(&mut self, file: &FileView) {
        if !self.shown {
            return;
        }
        match (file.state.as_str(), file.done_bytes) {
            ("moving", Some(done_bytes)) => {
                let bar = self.bar.get_or_insert_with(|| new_bar(file.size_bytes));
                bar.set_position(done_bytes);
            }
            _ => self.clear(),
        }
    }

    /// Takes the bar off the screen.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(total_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match total_bytes {
        Some(total) => (ProgressBar::new(total), "{bar:40} {bytes}/{total_bytes} {eta}"),
        None => (ProgressBar::no_length(), "{spinner} {bytes}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
