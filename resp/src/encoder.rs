//! Replies as bytes, in the version of the protocol that the client speaks.

/// The version of the protocol that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2: what every client begins with.
    #[default]
    Resp2,
    /// RESP3: asked for by `HELLO 3`.
    Resp3,
}

/// Appends replies to a buffer. It knows the version, so that what gives a reply its shape need not.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Encoder<'a> {
    /// One that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Encoder { out, protocol }
    }

    /// The version that is spoken.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// From here on the client is spoken to in another version.
    pub fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// A status, such as `OK`. It has no line breaks.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// `OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// An error: a code in capitals, and a text. Line breaks become spaces, as in Redis.
    pub fn error(&mut self, text: &str) {
        self.line(b'-', text.as_bytes());
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        self.number(b':', value);
    }

    /// A count; one that is larger than any integer of the protocol is the largest of these.
    pub fn count(&mut self, count: impl TryInto<i64>) {
        self.integer(count.try_into().unwrap_or(i64::MAX));
    }

    /// A string of any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A string of any bytes, or nothing.
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Text that a client may show as it is: a bulk string in RESP2.
    pub fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.header(b'=', text.len() + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Nothing, where there could be a value.
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Nothing, where there could be an array.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The head of an array; so many replies follow.
    pub fn array(&mut self, items: usize) {
        self.header(b'*', items);
    }

    /// An array of strings.
    pub fn bulks<T: AsRef<[u8]>>(&mut self, items: impl ExactSizeIterator<Item = T>) {
        self.array(items.len());
        items.for_each(|item| self.bulk(item.as_ref()));
    }

    /// The head of a map; so many pairs of replies follow. A flat array in RESP2.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * pairs),
            Protocol::Resp3 => self.header(b'%', pairs),
        }
    }

    /// The head of a set; so many replies follow. An array in RESP2.
    pub fn set(&mut self, items: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', items),
            Protocol::Resp3 => self.header(b'~', items),
        }
    }

    /// The head of an out-of-band message; so many replies follow. An array in RESP2.
    pub fn push(&mut self, items: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', items),
            Protocol::Resp3 => self.header(b'>', items),
        }
    }

    /// A number: a bulk string in RESP2.
    pub fn double(&mut self, value: f64) {
        let text = double_text(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// Yes or no: 1 or 0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.protocol, value) {
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp2, false) => b":0\r\n",
            (Protocol::Resp3, true) => b"#t\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
        });
    }

    /// What has been encoded already.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        let broken = |byte: &u8| matches!(byte, b'\r' | b'\n');
        if text.iter().any(broken) {
            self.out.extend(text.iter().map(|byte| if broken(byte) { b' ' } else { *byte }));
        } else {
            self.out.extend_from_slice(text);
        }
        self.out.extend_from_slice(b"\r\n");
    }

    fn header(&mut self, kind: u8, count: usize) {
        self.number(kind, i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn number(&mut self, kind: u8, value: i64) {
        // A sign, 19 digits, a kind and a line break.
        let mut text = [0; 23];
        let mut at = text.len() - 2;
        text[at..].copy_from_slice(b"\r\n");
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            text[at] = b'0' + u8::try_from(rest % 10).expect("a digit");
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            text[at] = b'-';
        }
        at -= 1;
        text[at] = kind;
        self.out.extend_from_slice(&text[at..]);
    }
}

/// A number as Redis 7.2 and later write it: the shortest digits that read back as the same number, plain where it is
/// neither very large nor very small.
#[must_use]
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    if value.fract() == 0.0 && value.abs() < 1e17 {
        return format!("{value:.0}");
    }
    // "d.ddde-x": the shortest digits, and the power of ten of the first.
    let scientific = format!("{:e}", value.abs());
    let (mantissa, power) = scientific.split_once('e').expect("it has an exponent");
    let power: i32 = power.parse().expect("the exponent is a number");
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let count = i32::try_from(digits.len()).expect("at most 17 digits");
    // The number is `digits` × 10^scale.
    let scale = power - (count - 1);
    let sign = if value < 0.0 { "-" } else { "" };
    if scale >= 0 && power < count + 7 {
        let zeros = "0".repeat(usize::try_from(scale).expect("not negative"));
        return format!("{sign}{digits}{zeros}");
    }
    if scale < 0 && (scale > -7 || power.abs() < 4) {
        return if power < 0 {
            let zeros = "0".repeat(usize::try_from(-power - 1).expect("not negative"));
            format!("{sign}0.{zeros}{digits}")
        } else {
            let (whole, part) = digits.split_at(usize::try_from(power + 1).expect("not negative"));
            format!("{sign}{whole}.{part}")
        };
    }
    let (first, others) = digits.split_at(1);
    let point = if others.is_empty() { "" } else { "." };
    let mark = if power < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{others}e{mark}{}", power.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(protocol: Protocol, encode: impl FnOnce(&mut Encoder<'_>)) -> String {
        let mut out = Vec::new();
        encode(&mut Encoder::new(&mut out, protocol));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_version_has_its_own_shapes() {
        let all = |e: &mut Encoder<'_>| {
            e.null();
            e.null_array();
            e.map(2);
            e.set(3);
            e.push(1);
            e.double(1.5);
            e.boolean(true);
            e.verbatim("a");
        };
        assert_eq!(
            encoded(Protocol::Resp2, all),
            "$-1\r\n*-1\r\n*4\r\n*3\r\n*1\r\n$3\r\n1.5\r\n:1\r\n$1\r\na\r\n"
        );
        assert_eq!(
            encoded(Protocol::Resp3, all),
            "_\r\n_\r\n%2\r\n~3\r\n>1\r\n,1.5\r\n#t\r\n=5\r\ntxt:a\r\n"
        );
    }

    #[test]
    fn integers_are_written_over_their_whole_range() {
        for value in [0, 9, 10, -1, i64::MAX, i64::MIN] {
            let text = encoded(Protocol::Resp2, |e| e.integer(value));
            assert_eq!(text, format!(":{value}\r\n"));
        }
    }

    #[test]
    fn what_is_an_error_has_one_line() {
        assert_eq!(encoded(Protocol::Resp3, |e| e.error("ERR a\r\nb")), "-ERR a  b\r\n");
    }

    #[test]
    fn numbers_read_as_redis_writes_them() {
        let cases = [
            (3.0, "3"),
            (-3.25, "-3.25"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (123_456_789.0, "123456789"),
            (1.0e7, "10000000"),
            (1.0e16, "10000000000000000"),
            (0.000_125, "0.000125"),
            (0.000_012_5, "1.25e-5"),
            (1.25e-9, "1.25e-9"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (-0.0, "-0"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
        ];
        for (value, text) in cases {
            assert_eq!(double_text(value), text);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
