//! Reads a record in one pass, as nearly all records are written; what it does not know is left to
//! [`record`](super::record), which reads anything and knows what to say of it.
//!
//! The two agree: where this one has an answer it is that of the other (a property test holds them
//! to it).

use bytes::Bytes;
use bytestring::ByteString;

use super::{Members, scan::plain_len};

/// The members of a record, when it is an object whose names and texts hold no escapes, whose type is
/// one digit, without headers and stream ids, and whose values are JSON that nests at most
/// [`MAX_DEPTH`] deep. `None` says nothing of the record.
pub(super) fn read(record: &Bytes) -> Option<Members> {
    let mut reader = Reader { record, at: 0 };
    let mut members = Members::default();
    reader.expect(b'{')?;
    if reader.space_then(b'}') {
        return Some(members);
    }
    loop {
        reader.skip_space();
        let name = reader.plain_string()?;
        reader.skip_space();
        reader.expect(b':')?;
        let behind_colon = reader.at;
        reader.skip_space();
        reader.member(name, behind_colon, &mut members)?;
        if reader.space_then(b'}') {
            // What stands behind it is ignored (J-14).
            return Some(members);
        }
        reader.expect(b',')?;
    }
}

struct Reader<'a> {
    record: &'a Bytes,
    /// What is read ends here.
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    fn member(&mut self, name: &[u8], behind_colon: usize, members: &mut Members) -> Option<()> {
        match name {
            b"type" => members.kind = Some(self.digit()?.into()),
            b"invocationId" => members.invocation_id = Some(self.text()?),
            b"target" => members.target = Some(self.text()?),
            b"arguments" if self.next() == Some(b'[') => {
                let start = self.at;
                self.value()?;
                members.arguments = Some(self.record.slice(start..self.at));
            }
            b"item" => {
                let start = self.at;
                self.value()?;
                members.item = Some(self.record.slice(start..self.at));
            }
            // Another server gets it as it came (RD-09).
            b"result" => {
                self.value()?;
                members.result = Some(self.record.slice(behind_colon..self.at));
            }
            b"error" => members.error = Some(self.text()?),
            b"arguments" | b"streamIds" | b"headers" | b"allowReconnect" | b"sequenceId" => {
                return None;
            }
            _ => self.value()?,
        }
        Some(())
    }

    #[inline]
    fn next(&self) -> Option<u8> {
        self.record.get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.next() {
            self.at += 1;
        }
    }

    /// Whether this byte comes next behind white space; takes it then.
    #[inline]
    fn space_then(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.expect(byte).is_some()
    }

    /// A string without escapes: what stands between its quotes.
    #[inline]
    fn plain_string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = &self.record[self.at..];
        let text = &rest[..plain_len(rest)];
        self.at += text.len();
        self.expect(b'"')?;
        Some(text)
    }

    /// The same as a slice of the record; it must be UTF-8.
    #[inline]
    fn text(&mut self) -> Option<ByteString> {
        let text = self.plain_string()?;
        ByteString::try_from(self.record.slice_ref(text)).ok()
    }

    /// A number of one digit.
    #[inline]
    fn digit(&mut self) -> Option<u8> {
        let digit = self.next().filter(u8::is_ascii_digit)?;
        self.at += 1;
        match self.next()? {
            b'0'..=b'9' | b'.' | b'e' | b'E' => None,
            _ => Some(digit - b'0'),
        }
    }

    /// Any value.
    fn value(&mut self) -> Option<()> {
        // Whether each open level is an object, the innermost in the lowest bit.
        let (mut objects, mut depth) = (0_u64, 0);
        loop {
            self.skip_space();
            let opened = self.next()?;
            match opened {
                b'"' => self.string()?,
                b'[' | b'{' => {
                    self.at += 1;
                    let is_object = opened == b'{';
                    let close = if is_object { b'}' } else { b']' };
                    if !self.space_then(close) {
                        if depth == MAX_DEPTH {
                            return None;
                        }
                        depth += 1;
                        objects = objects << 1 | u64::from(is_object);
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                _ => self.number()?,
            }
            // The value is over, and so is every level that it was the last of.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let is_object = objects & 1 == 1;
                self.skip_space();
                match self.next()? {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.skip_space();
                            self.name()?;
                        }
                        break;
                    }
                    b']' if !is_object => {}
                    b'}' if is_object => {}
                    _ => return None,
                }
                self.at += 1;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// The name of a member, and what separates it from the value.
    fn name(&mut self) -> Option<()> {
        self.string()?;
        self.space_then(b':').then_some(())
    }

    #[inline]
    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            self.at += plain_len(&self.record[self.at..]);
            let end = self.next()?;
            self.at += 1;
            match end {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None, // a control
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let length = match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 1,
            b'u' => {
                let digits = self.record.get(self.at + 1..self.at + 5)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(5)?
            }
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.record[self.at..].starts_with(literal).then_some(())?;
        self.at += literal.len();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.expect(b'-');
        // A zero in front is the whole integer.
        if let (b'0', 2..) = self.digits()? {
            return None;
        }
        if self.expect(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.next() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.next() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// The first of some digits, and how many they are.
    fn digits(&mut self) -> Option<(u8, usize)> {
        let rest = &self.record[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        rest.first()
            .filter(|_| count > 0)
            .map(|first| (*first, count))
    }
}

/// Levels in a value.
const MAX_DEPTH: u32 = 32;
