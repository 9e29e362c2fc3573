//! The RESP front door: sockets around `coterie-resp`.
