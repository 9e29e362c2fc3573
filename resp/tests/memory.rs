//! What clients hold is bounded, for each and for all together, and whoever meets the bound is told.

mod harness;

use coterie_resp::ask::{Ask, AskId};
use harness::Server;

const MOST: usize = 8 << 20;

/// A server with little memory for what is under way, and a large value in it.
fn server(value_bytes: usize) -> Server {
    let mut server = Server::new();
    let writer = server.connect();
    let value = vec![b'x'; value_bytes];
    assert_eq!(server.command(writer, &[b"SET", b"large", &value]), b"+OK\r\n");
    assert_eq!(server.command(writer, &[b"SET", b"small", b"1"]), b"+OK\r\n");
    server.memory.most = MOST;
    server
}

/// Gives a connection bytes, and does not read what it is answered.
fn push(server: &mut Server, client: usize, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = rest.len().min(server.connection(client).wants_input());
        if piece == 0 {
            return;
        }
        server.connection(client).input().extend_from_slice(&rest[..piece]);
        rest = &rest[piece..];
        server.go_on(client);
    }
}

fn asks(server: &mut Server, client: usize) -> Vec<(usize, AskId, Ask)> {
    let mut asks = Vec::new();
    while let Some((id, ask)) = server.connection(client).next_ask() {
        asks.push((client, id, ask));
    }
    asks
}

#[test]
fn clients_that_do_not_read_are_told_and_others_are_served() {
    let mut server = server(100_000);
    let slow: Vec<usize> = (0..200).map(|_| server.connect()).collect();
    for &client in &slow {
        push(&mut server, client, &b"GET large\r\n".repeat(50));
    }
    // Round by round, all that is asked is answered; nobody reads.
    loop {
        let asked: Vec<_> = slow.iter().flat_map(|&client| asks(&mut server, client)).collect();
        if asked.is_empty() {
            break;
        }
        for (client, id, ask) in asked {
            let answer = server.carry_out(ask);
            server.answer(client, id, answer);
            assert!(server.memory.held <= MOST, "{} bytes are held", server.memory.held);
        }
    }
    assert!(server.memory.held > MOST / 2, "the bound was met: {}", server.memory.held);
    let other = server.connect();
    assert_eq!(server.say(other, "GET small"), "$1\r\n1\r\n");
    assert_eq!(server.say(other, "SET small 2"), "+OK\r\n");
    let refused = server.say(other, "GET large");
    assert!(
        refused.starts_with("-BUSY what clients have under way takes the 8388608 bytes"),
        "{refused}"
    );
    let mut told = 0;
    for &client in &slow {
        let answered = String::from_utf8(server.read(client)).unwrap();
        told += answered.matches("-BUSY").count();
    }
    assert!(told > 100, "{told} were told");
    assert!(server.say(other, "GET large").starts_with("$100000\r\n"), "they have read");
}

#[test]
fn commands_that_come_slowly_are_bounded_too() {
    let mut server = server(1);
    let many: Vec<usize> = (0..64).map(|_| server.connect()).collect();
    let body = vec![b'x'; 500_000];
    for &client in &many {
        let begun = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", 2 * body.len());
        push(&mut server, client, begun.as_bytes());
        push(&mut server, client, &body);
        assert!(server.memory.held <= MOST, "{} bytes are held", server.memory.held);
    }
    let other = server.connect();
    assert_eq!(server.say(other, "GET small"), "$1\r\n1\r\n");
    let mut outcomes = [0, 0];
    for &client in &many {
        push(&mut server, client, &body);
        let answered = server.send(client, b"\r\n");
        outcomes[usize::from(answered.starts_with("-BUSY"))] += 1;
        assert_eq!(server.say(client, "GET small"), "$1\r\n1\r\n", "the connection goes on");
    }
    assert!(outcomes[0] >= 4 && outcomes[1] >= 40, "{outcomes:?}");
    assert_eq!(server.memory.held, 0);
}

#[test]
fn one_command_that_gathers_too_much_is_told_so() {
    let mut server = server(500_000);
    let client = server.connect();
    let few = server.say(client, "MGET large large large");
    assert!(few.starts_with("*3\r\n$500000\r\n"), "{}", &few[..20]);
    let many = server.say(client, &format!("MGET {}", "large ".repeat(100)));
    assert!(many.starts_with("-BUSY what clients have under way"), "{}", &many[..20]);
    assert_eq!(server.memory.held, 0);
}

#[test]
fn what_was_changed_is_answered_in_full() {
    let mut server = server(500_000);
    server.memory.most = 1 << 20;
    let client = server.connect();
    let read = server.say(client, "GET large");
    assert!(read.starts_with("$500000\r\n"));
    server.memory.most = 512 << 10;
    assert!(server.say(client, "GET large").starts_with("-BUSY"));
    let deleted = server.say(client, "GETDEL large");
    assert!(deleted.starts_with("$500000\r\n"), "{}", &deleted[..20]);
}
