//! `--profile` means a section of the config file, and on a command that creates tables also what these are to be.

use std::ffi::{OsStr, OsString};

use clap::ValueEnum;

use super::TableProfile;

/// Commands that create tables.
const CREATING: [&str; 2] = ["create", "import"];

/// Whether the name means what a table is to be. No section of the config file can have it.
pub fn is_table_profile(name: &str) -> bool {
    TableProfile::from_str(name, true).is_ok()
}

/// The command line with `--profile compatible` and `--profile modern` behind `create` or `import` as
/// `--table-profile`: a section of the config file can be named besides.
pub fn with_table_profile(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut done: Vec<OsString> = Vec::new();
    let mut args = args.peekable();
    let mut creating = false;
    while let Some(arg) = args.next() {
        if arg == "--" {
            done.push(arg);
            break;
        }
        let names_profile = |name: &OsStr| name.to_str().is_some_and(is_table_profile);
        let inline = arg.to_str().and_then(|arg| arg.strip_prefix("--profile=")).map(str::to_owned);
        creating |= CREATING.iter().any(|command| arg == *command);
        match inline {
            _ if !creating => done.push(arg),
            Some(name) if is_table_profile(&name) => done.push(format!("--table-profile={name}").into()),
            None if arg == "--profile" && args.peek().is_some_and(|name| names_profile(name)) => {
                done.push("--table-profile".into());
            }
            _ => done.push(arg),
        }
    }
    done.extend(args);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_of_profile_are_told_apart() {
        let of = |line: &str| {
            let done = with_table_profile(line.split(' ').map(OsString::from));
            done.join(OsStr::new(" ")).into_string().expect("text")
        };
        assert_eq!(
            of("lake --profile a create t --profile modern"),
            "lake --profile a create t --table-profile modern"
        );
        assert_eq!(of("lake import f --profile=Compatible"), "lake import f --table-profile=Compatible");
        for same in ["lake show t --profile modern", "lake create t --profile work", "lake create -- --profile modern"]
        {
            assert_eq!(of(same), same);
        }
    }
}
