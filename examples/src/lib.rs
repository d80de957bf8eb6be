//! Examples of Lake as a library: `cargo run -p lake-examples --example append_and_travel`.
