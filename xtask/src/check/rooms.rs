//! Whether the rooms of a crate know one another only along the arrows of the house.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::words::starts_with;
use crate::house::{IMPURE_CRATES, PURE_ROOMS, ROOMS, Rooms};
use crate::lexer::Kind;
use crate::problem::Problem;
use crate::rust::Named;
use crate::tree::Tree;

/// One use of a room by another.
struct Arrow {
    from: String,
    to: String,
    file: String,
    line: usize,
}

/// Arrows between rooms that the house does not allow, loops, and rooms it does not know.
pub fn arrows(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (folder, _) in tree.crates() {
        let plan = ROOMS.iter().find(|(known, _)| *known == folder).map(|(_, rooms)| rooms);
        let mut found = Vec::new();
        let exports = exports(tree, folder);
        for (room, module, file) in files_of(tree, folder) {
            if let Some(plan) = plan
                && !plan.knows(&room)
            {
                problems.push(Problem::new(&file, 1, unknown(&room)));
                continue;
            }
            for path in production_paths(tree, &file) {
                match target(&path, &module, &exports, tree, folder) {
                    Target::Elsewhere => {}
                    Target::Room(to) if to == room => {}
                    Target::Room(to) => {
                        found.push(Arrow { from: room.clone(), to, file: file.clone(), line: path.line })
                    }
                    // Without a plan a crate may keep small things at its root.
                    Target::Root if plan.is_none() => {}
                    Target::Root => problems.push(Problem::new(&file, path.line, roof(&path))),
                }
            }
        }
        match plan {
            Some(plan) => {
                problems.extend(found.iter().filter(|arrow| !plan.allows(&arrow.from, &arrow.to)).map(refused))
            }
            None => problems.extend(find_loop(&found)),
        }
    }
    problems
}

/// Names of I/O and of the runtime in rooms that have neither.
pub fn purity(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (folder, pure) in PURE_ROOMS {
        for (room, _, file) in files_of(tree, folder).filter(|(room, ..)| pure.contains(&room.as_str())) {
            for path in production_paths(tree, &file) {
                for word in IMPURE_CRATES.iter().filter(|word| starts_with(&path, word)) {
                    problems.push(Problem::new(
                        &file,
                        path.line,
                        format!("the room `{room}` is pure: no `{word}` in it"),
                    ));
                }
            }
            let Some(rust) = tree.get(&file).and_then(|file| file.rust.as_ref()) else { continue };
            for (at, token) in rust.code.iter().enumerate().filter(|(at, _)| !rust.is_test(*at)) {
                // `x.async` is no keyword; `async` as a field can't be written without `r#`.
                let after_dot = at > 0 && rust.code[at - 1].is_mark('.');
                if token.kind == Kind::Ident && (token.is("await") || (token.is("async") && !after_dot)) {
                    let message = format!("the room `{room}` is pure: no `{}` in it", token.text);
                    problems.push(Problem::new(&file, token.line, message));
                }
            }
        }
    }
    problems
}

impl Rooms {
    fn knows(&self, room: &str) -> bool {
        match self {
            Self::Stairs(rooms) => rooms.contains(&room),
            Self::Table(rooms) => rooms.iter().any(|(known, _)| *known == room),
        }
    }

    fn allows(&self, from: &str, to: &str) -> bool {
        match self {
            Self::Stairs(rooms) => {
                let place = |room: &str| rooms.iter().position(|known| *known == room);
                matches!((place(from), place(to)), (Some(from), Some(to)) if to < from)
            }
            Self::Table(rooms) => rooms.iter().any(|(known, may)| *known == from && may.contains(&to)),
        }
    }
}

enum Target {
    /// Another crate, or below the room itself.
    Elsewhere,
    /// A room of this crate.
    Room(String),
    /// The crate itself, or a name of it that no room holds.
    Root,
}

fn target(path: &Named, module: &[String], exports: &BTreeMap<String, String>, tree: &Tree, folder: &str) -> Target {
    let Some(full) = absolute(path, module) else { return Target::Elsewhere };
    match full.first() {
        None if path.imported => Target::Root,
        None => Target::Elsewhere,
        Some(first) if is_room(tree, folder, first) => Target::Room(first.clone()),
        Some(first) => exports.get(first).map_or(Target::Root, |room| Target::Room(room.clone())),
    }
}

/// The path from the crate's root; none for a path that does not begin at `crate`, `self` or `super`.
fn absolute(path: &Named, module: &[String]) -> Option<Vec<String>> {
    let first = path.segments.first()?.as_str();
    if first == "crate" {
        return Some(path.segments[1..].to_vec());
    }
    if first != "self" && first != "super" {
        return None;
    }
    let mut place: Vec<String> = module.iter().chain(&path.scope).cloned().collect();
    let mut rest = path.segments.as_slice();
    while let Some((next, after)) = rest.split_first() {
        match next.as_str() {
            "self" => {}
            "super" => {
                place.pop();
            }
            _ => break,
        }
        rest = after;
    }
    place.extend(rest.iter().cloned());
    Some(place)
}

/// Files of production code inside a room: the room, the module path, the file.
fn files_of<'a>(tree: &'a Tree, folder: &str) -> impl Iterator<Item = (String, Vec<String>, String)> + use<'a> {
    let source = format!("{folder}/src/");
    tree.rust_files().filter(|(file, _)| !tree.is_test(&file.path)).filter_map(move |(file, _)| {
        let mut module: Vec<String> =
            file.path.strip_prefix(&source)?.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        let room = module.first()?.clone();
        // The roof joins all rooms; programs beside the library are their own crates.
        let is_roof = module.len() == 1 && (room == "lib" || (room == "main"));
        (!is_roof && room != "bin").then(|| (room, module, file.path.clone()))
    })
}

fn is_room(tree: &Tree, folder: &str, name: &str) -> bool {
    let (file, inside) = (format!("{folder}/src/{name}.rs"), format!("{folder}/src/{name}/"));
    tree.rust_files().any(|(other, _)| other.path == file || other.path.starts_with(&inside))
}

fn production_paths(tree: &Tree, file: &str) -> Vec<Named> {
    let rust = tree.get(file).and_then(|file| file.rust.as_ref());
    rust.map(|rust| rust.named().into_iter().filter(|path| !path.test).collect()).unwrap_or_default()
}

/// Names that the crate's root takes from its rooms, and the room of each.
fn exports(tree: &Tree, folder: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for root in ["lib", "main"] {
        for path in production_paths(tree, &format!("{folder}/src/{root}.rs")).iter().filter(|path| path.imported) {
            let segments = path.segments.iter().skip_while(|part| *part == "crate" || *part == "self");
            if let Some(room) = segments.take(1).find(|room| is_room(tree, folder, room)) {
                exports.insert(path.name.clone(), room.clone());
            }
        }
    }
    exports
}

/// The first loop among the arrows.
fn find_loop(arrows: &[Arrow]) -> Option<Problem> {
    for arrow in arrows {
        let (mut open, mut seen) = (vec![arrow.to.as_str()], BTreeSet::new());
        while let Some(room) = open.pop() {
            if room == arrow.from {
                let message =
                    format!("`{}` uses `{}`, which leads back to it: rooms form no loop", arrow.from, arrow.to);
                return Some(Problem::new(&arrow.file, arrow.line, message));
            }
            if seen.insert(room) {
                open.extend(arrows.iter().filter(|next| next.from == room).map(|next| next.to.as_str()));
            }
        }
    }
    None
}

fn refused(arrow: &Arrow) -> Problem {
    let message = format!("the room `{}` may not use `{}`: the arrows are in house.rs", arrow.from, arrow.to);
    Problem::new(&arrow.file, arrow.line, message)
}

fn unknown(room: &str) -> String {
    format!("the room `{room}` is not in the plan: name it and what it may use in house.rs")
}

fn roof(path: &Named) -> String {
    format!("`{}` names the crate itself, not a room: write the room", path.segments.join("::"))
}

#[cfg(test)]
mod tests;
