//! `ACL`: users and their rights.

use super::server;
use crate::arguments::{Arguments, CommandError};
use crate::desk::{Desk, Step};
use crate::encoder::Encoder;
use crate::facts::Query;
use crate::keys;
use crate::table::{self, Category, Command, Flag, Run};
use crate::users::{CATEGORIES, Secret, User, in_category, right_rules};

const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];

const BASE: Command = Command {
    flags: ADMIN,
    since: "6.0.0",
    semantics: "Users are known to this node only, until it stops; lasting ones are in its configuration.",
    ..server::BASE
};

/// What anybody may ask.
const ANYBODY: Command = Command {
    flags: &[Flag::NoScript, Flag::Loading, Flag::Stale],
    categories: &[Category::Connection],
    ..BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[Command {
    name: "acl",
    arity: -2,
    summary: "Shows and changes users and their rights.",
    subcommands: SUBCOMMANDS,
    ..BASE
}];

static SUBCOMMANDS: &[Command] = &[
    Command {
        name: "cat",
        arity: -2,
        summary: "Returns the categories, or the commands of one.",
        run: Run::Desk(cat),
        ..ANYBODY
    },
    Command {
        name: "deluser",
        arity: -3,
        summary: "Removes users; their connections end.",
        run: Run::Desk(delete),
        ..BASE
    },
    Command {
        name: "dryrun",
        arity: -4,
        since: "7.0.0",
        summary: "Says whether a user might give a command.",
        run: Run::Desk(dry_run),
        ..BASE
    },
    Command {
        name: "genpass",
        arity: -2,
        summary: "Refused: a secret is not to be made from this door's random numbers.",
        run: Run::Desk(|_desk, _arguments, _encoder| {
            Err(CommandError::Text("ERR ACL GENPASS is not supported; use a password generator"))
        }),
        ..ANYBODY
    },
    Command {
        name: "getuser",
        arity: 3,
        summary: "Returns what a user may do.",
        run: Run::Desk(get),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("acl", encoder)),
        ..ANYBODY
    },
    Command {
        name: "list",
        arity: 2,
        summary: "Returns all users as rules.",
        run: Run::Desk(|desk, _arguments, encoder| {
            encoder.bulks(desk.door.users.iter().map(|user| rules(user)));
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "load",
        arity: 2,
        summary: "Refused: users are in the node's configuration.",
        run: Run::Desk(|_desk, _arguments, _encoder| Err(NO_FILE)),
        ..BASE
    },
    Command {
        name: "log",
        arity: -2,
        summary: "Returns nothing: refusals are among the metrics of the node.",
        run: Run::Desk(|_desk, arguments, encoder| {
            if arguments.is(2, "RESET") {
                encoder.ok();
            } else {
                encoder.array(0);
            }
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "save",
        arity: 2,
        summary: "Refused: users are in the node's configuration.",
        run: Run::Desk(|_desk, _arguments, _encoder| Err(NO_FILE)),
        ..BASE
    },
    Command {
        name: "setuser",
        arity: -3,
        summary: "Changes a user, or makes it.",
        run: Run::Desk(set),
        ..BASE
    },
    Command {
        name: "users",
        arity: 2,
        summary: "Returns the names of all users.",
        run: Run::Desk(|desk, _arguments, encoder| {
            encoder.bulks(desk.door.users.iter().map(|user| &user.name));
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "whoami",
        arity: 2,
        summary: "Returns the name of the connection's user.",
        run: Run::Desk(|desk, _arguments, encoder| {
            let user = desk.client.user.as_ref();
            encoder.bulk_or_null(user.map(|user| user.name.as_bytes()));
            Ok(Step::Done)
        }),
        ..ANYBODY
    },
];

const NO_FILE: CommandError = CommandError::Text(
    "ERR This instance is not configured to use an ACL file. Users are set in the configuration of the node.",
);

fn cat(
    _desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let Some(category) = arguments.get(2) else {
        encoder.bulks(CATEGORIES.iter());
        return Ok(Step::Done);
    };
    let category = String::from_utf8_lossy(category).to_lowercase();
    if !CATEGORIES.contains(&category.as_str()) || arguments.count() > 3 {
        return Err(CommandError::Owned(format!("ERR Unknown category '{category}'")));
    }
    let mut names = Vec::new();
    for command in table::all() {
        if in_category(command, &category) {
            names.push(command.name.to_owned());
        }
        let children = command.subcommands.iter().filter(|child| in_category(child, &category));
        names.extend(children.map(|child| child.full_name(command.name)));
    }
    encoder.bulks(names.iter());
    Ok(Step::Done)
}

fn set(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    _encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let name = arguments.lossy(2).into_owned();
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(CommandError::Text("ERR Usernames can't contain spaces or null characters"));
    }
    // Tried here, so that what is wrong is named.
    let known = desk.door.users.get(name.as_bytes());
    let mut user = known.map_or_else(|| User::new(&name), |user| (**user).clone());
    for rule in arguments.from(3) {
        user.modify(rule).map_err(|error| {
            let rule = String::from_utf8_lossy(rule);
            CommandError::Owned(format!("ERR Error in ACL SETUSER modifier '{rule}': {error}"))
        })?;
    }
    Ok(Step::ask_to(Query::SetUser { name, rules: arguments.from(3).to_vec() }))
}

fn delete(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    _encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let names: Vec<String> =
        arguments.from(2).iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    if names.iter().any(|name| name == crate::users::DEFAULT) {
        return Err(CommandError::Text("ERR The 'default' user cannot be removed"));
    }
    let known = names.iter().filter(|name| desk.door.users.get(name.as_bytes()).is_some());
    if known.count() == 0 {
        return Ok(Step::ask(Query::DeleteUsers(Vec::new()), |_told, encoder| encoder.integer(0)));
    }
    Ok(Step::ask_count(Query::DeleteUsers(names)))
}

fn get(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let Some(user) = desk.door.users.get(arguments.word(2)) else {
        encoder.null();
        return Ok(Step::Done);
    };
    encoder.map(6);
    encoder.bulk(b"flags");
    let mut flags = vec![if user.enabled { "on" } else { "off" }];
    if user.any_secret {
        flags.push("nopass");
    }
    encoder.set(flags.len());
    flags.iter().for_each(|flag| encoder.simple(flag));
    encoder.bulk(b"passwords");
    encoder.bulks(user.secrets.iter().map(Secret::digits));
    encoder.bulk(b"commands");
    encoder.bulk(user.commands.rules().as_bytes());
    encoder.bulk(b"keys");
    encoder.bulk(key_rules(user).as_bytes());
    encoder.bulk(b"channels");
    encoder.bulk(b"");
    encoder.bulk(b"selectors");
    encoder.array(0);
    Ok(Step::Done)
}

fn key_rules(user: &User) -> String {
    let rules: Vec<String> = user.rights.iter().map(right_rules).collect();
    rules.join(" ")
}

fn rules(user: &User) -> String {
    let mut words = vec!["user".to_owned(), user.name.clone()];
    words.push(if user.enabled { "on" } else { "off" }.to_owned());
    if user.any_secret {
        words.push("nopass".to_owned());
    }
    words.extend(user.secrets.iter().map(|secret| format!("#{}", secret.digits())));
    words.push(key_rules(user));
    words.push("resetchannels".to_owned());
    words.push(user.commands.rules());
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn dry_run(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let name = arguments.lossy(2);
    let user = desk.door.users.get(arguments.word(2));
    let user = user.ok_or_else(|| CommandError::Owned(format!("ERR User '{name}' not found")))?;
    let words = arguments.from(3);
    let (parent, place) = table::lookup(&words[0]).ok_or_else(|| {
        CommandError::Owned(format!("ERR Command '{}' not found", arguments.lossy(3)))
    })?;
    let child = words.get(1).and_then(|word| parent.subcommand(word));
    let command = child.unwrap_or(parent);
    let full_name = command.full_name(child.map_or("", |_| parent.name));
    if !command.takes(words.len()) {
        return Err(CommandError::arity(&full_name));
    }
    let may = match child {
        Some(child) => user.commands.permits_subcommand(place, child.name),
        None => user.commands.permits(place),
    };
    if !may {
        let text = format!("User {name} has no permissions to run the '{full_name}' command");
        encoder.bulk(text.as_bytes());
        return Ok(Step::Done);
    }
    let mut refused = None;
    keys::each(command, words, |index, access| {
        if !user.may_access(&desk.client.bucket, &words[index], access) {
            refused.get_or_insert(index);
        }
    });
    match refused {
        None => encoder.ok(),
        Some(index) => {
            let key = String::from_utf8_lossy(&words[index]);
            let text = format!("User {name} has no permissions to access the '{key}' key");
            encoder.bulk(text.as_bytes());
        }
    }
    Ok(Step::Done)
}
