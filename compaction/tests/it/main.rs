//! Optimize and vacuum on real tables, through the public API alone.

mod optimize;
mod support;
mod vacuum;
mod vectors;
mod zorder;
