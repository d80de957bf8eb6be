//! The `lake` program as its users see it: status, standard output and standard error of every command.

mod catalog;
mod damage;
mod edges;
mod harness;
mod help;
mod import;
mod maintenance;
mod output;
mod proxy;
mod sql;
mod store;
mod tables;
mod usage;
