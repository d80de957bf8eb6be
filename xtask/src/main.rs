//! The command `cargo xtask`.

use std::process::ExitCode;

use xtask::tidy::{tidy, workspace_root};

const USAGE: &str = "usage: cargo xtask tidy

  tidy   check the rules of the house: arrows, length, names, weight, rules without a test";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => run_tidy(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run_tidy() -> ExitCode {
    match tidy(&workspace_root()) {
        Ok(problems) if problems.is_empty() => {
            eprintln!("tidy: no problems");
            ExitCode::SUCCESS
        }
        Ok(problems) => {
            for problem in &problems {
                println!("{problem}");
            }
            eprintln!("tidy: {} problems", problems.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tidy: the workspace can't be read: {error}");
            ExitCode::FAILURE
        }
    }
}
