//! A page of a key's elements: what `HSCAN`, `SSCAN` and `ZSCAN` have in common, some of it with `SCAN`.

use bytes::Bytes;
use coterie_crdt::operation::{Operation, Reply};

use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::encoder::Encoder;
use crate::plan::{Element, ElementScan, Plan};

/// How many elements are looked at where the client does not say.
pub(super) const COUNT: usize = 10;

/// How one type's elements are read by pages.
pub(super) struct Scan {
    page: fn(Option<Bytes>, usize) -> Operation,
    elements: fn(&Reply) -> Vec<Element>,
    names: Option<fn(&Reply) -> Vec<Element>>,
}

impl Scan {
    /// Pages that `page` reads, of `elements`.
    pub(super) fn of(
        page: fn(Option<Bytes>, usize) -> Operation,
        elements: fn(&Reply) -> Vec<Element>,
    ) -> Scan {
        Scan { page, elements, names: None }
    }

    /// `NOVALUES` leaves only the names.
    pub(super) fn or_names(self, names: fn(&Reply) -> Vec<Element>) -> Scan {
        Scan { names: Some(names), ..self }
    }

    /// The plan of `SCAN key cursor [MATCH pattern] [COUNT count]`.
    ///
    /// # Errors
    /// Redis's.
    pub(super) fn plan(self, arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
        let key = arguments.key(1);
        let cursor = cursor(arguments.word(2))?;
        let mut scan = ElementScan {
            key: key.clone(),
            cursor,
            count: COUNT,
            pattern: None,
            page: self.page,
            elements: self.elements,
        };
        match self.options(arguments, &mut scan) {
            Ok(()) => Ok(Plan::Scan(Box::new(scan))),
            // Redis looks at the key before it looks at the options.
            Err(error) => Ok(shape::error_if_there(key, (self.page)(None, 1), error, write_empty)),
        }
    }

    fn options(
        &self,
        arguments: &Arguments<'_>,
        scan: &mut ElementScan,
    ) -> Result<(), CommandError> {
        let mut at = 3;
        while at < arguments.count() {
            let more = at + 1 < arguments.count();
            if arguments.is(at, "COUNT") && more {
                scan.count = counted(arguments, at + 1)?;
                at += 1;
            } else if arguments.is(at, "MATCH") && more {
                scan.pattern = Some(arguments.bytes(at + 1));
                at += 1;
            } else if let Some(names) = self.names.filter(|_| arguments.is(at, "NOVALUES")) {
                scan.elements = names;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(())
    }
}

/// The position that a client says.
///
/// # Errors
/// Where it is no number.
pub(super) fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    let digits = word.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(word).ok().filter(|_| digits && !word.is_empty());
    let number = number.and_then(|number| number.parse().ok());
    number.ok_or(CommandError::Text("ERR invalid cursor"))
}

/// What `COUNT` says in the word at `index`.
///
/// # Errors
/// Where it is no number, or less than 1.
pub(super) fn counted(arguments: &Arguments<'_>, index: usize) -> Result<usize, CommandError> {
    let count = usize::try_from(arguments.integer(index)?).ok().filter(|count| *count > 0);
    count.ok_or(CommandError::SYNTAX)
}

fn write_empty(encoder: &mut Encoder<'_>) {
    encoder.array(2);
    encoder.bulk(b"0");
    encoder.array(0);
}
