//! A progress bar on standard error, for who watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Bytes and rows done. Cheap to clone; any thread may report.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    rows: Arc<AtomicU64>,
}

impl Progress {
    pub(super) fn new(label: &'static str, total_bytes: u64, visible: bool) -> Self {
        let rows = Arc::new(AtomicU64::new(0));
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total_bytes), target);
        let counter = Arc::clone(&rows);
        let row_rate = move |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let rows = counter.load(Ordering::Relaxed);
            let seconds = state.elapsed().as_secs_f64();
            let rate = if seconds > 0.0 { rows as f64 / seconds } else { 0.0 };
            let _ = write!(to, "{rows} rows, {rate:.0} rows/s");
        };
        let template = "{prefix} [{bar:30}] {bytes}/{total_bytes} · {row_rate} · {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("row_rate", row_rate).progress_chars("=> "));
        }
        bar.set_prefix(label);
        if visible {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, rows }
    }

    /// Reports bytes read.
    pub fn bytes(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Reports rows read.
    pub fn rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
