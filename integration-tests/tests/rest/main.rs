//! The catalog server over real HTTP: what every route answers, to good requests and to bad ones.

mod commits;
mod faults;
mod layers;
mod refusals;
mod routes;
mod support;
