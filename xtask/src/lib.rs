//! Tools of the workspace: the checks that keep the house straight.

pub mod check;
pub mod files;
pub mod house;
pub mod lexer;
pub mod modules;
pub mod problem;
pub mod rust;
pub mod tidy;
pub mod tree;
