//! The door in process: its routes over fake lanes and a fake control.

mod access;
mod bodies;
mod cluster;
mod dashboard;
mod data;
mod description;
mod fake;
mod sockets;
