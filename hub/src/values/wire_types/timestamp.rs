//! Instants.

mod text;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::protocol::value::native;

/// An instant that crosses the wire as a .NET `DateTime` in UTC, in steps of 100 ns from the year 1
/// to the year 9999: ISO 8601 text in JSON, the timestamp extension in MessagePack.
///
/// In JSON (J-11) a date without a time is its midnight, a time without a zone is taken for UTC,
/// another zone is turned into UTC, and more than seven digits of a fraction are cut. As .NET's, an
/// instant that was read so is written as it came: without a zone, or with the offset of this
/// server, `+00:00`; that makes no difference between two instants. In MessagePack the shortest of
/// the three forms is written and all are read (M-08).
///
/// ```
/// use hub::Timestamp;
/// use hub::protocol::{Encoding, Names, Protocol};
///
/// let json = Encoding { protocol: Protocol::Json, names: Names::AsDeclared };
/// let messagepack = Encoding { protocol: Protocol::MessagePack, names: Names::AsDeclared };
/// let leap_day: Timestamp = json.decode(br#""2024-02-29T01:30:00.5+01:30""#)?;
/// assert_eq!(json.encode(&leap_day)?, r#""2024-02-29T00:00:00.5+00:00""#);
/// assert_eq!((leap_day.unix_seconds(), leap_day.nanoseconds()), (1_709_164_800, 500_000_000));
/// assert_eq!(messagepack.encode(&Timestamp::UNIX_EPOCH)?, [0xD6, 0xFF, 0, 0, 0, 0].as_slice());
/// # Ok::<(), hub::protocol::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Timestamp {
    /// Steps of 100 ns since 1970.
    ticks: i64,
    /// How it is written; no part of its value.
    zone: Zone,
}

/// The zone that an instant was read with, .NET's `DateTimeKind`.
#[derive(Debug, Clone, Copy)]
enum Zone {
    Utc,
    Unspecified,
    Local,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self::utc(0);
    /// 0001-01-01T00:00:00Z, the first.
    pub const MIN: Self = Self::utc(-62_135_596_800 * TICKS_PER_SECOND);
    /// 9999-12-31T23:59:59.9999999Z, the last.
    pub const MAX: Self = Self::utc(253_402_300_800 * TICKS_PER_SECOND - 1);

    const fn utc(ticks: i64) -> Self {
        let zone = Zone::Utc;
        Self { ticks, zone }
    }

    /// The instant of the system clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// `seconds` since 1970 and `nanoseconds` more, which are cut to steps of 100. Before 1970
    /// seconds are negative, nanoseconds never.
    ///
    /// ```
    /// use hub::Timestamp;
    ///
    /// let before = Timestamp::from_unix(-1, 999_999_999)?;
    /// assert_eq!(before.to_string(), "1969-12-31T23:59:59.9999999Z");
    /// # Ok::<(), hub::TimestampError>(())
    /// ```
    ///
    /// # Errors
    /// Outside the years 1 to 9999, and from 1,000,000,000 nanoseconds.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Result<Self, TimestampError> {
        if nanoseconds >= 1_000_000_000 {
            return Err(TimestampError);
        }
        let ticks = seconds
            .checked_mul(TICKS_PER_SECOND)
            .and_then(|ticks| ticks.checked_add(i64::from(nanoseconds / 100)));
        ticks.map(Self::utc).ok_or(TimestampError)?.checked()
    }

    /// The instant that much later, written with the zone of this one; cut to steps of 100 ns.
    ///
    /// # Errors
    /// Behind the year 9999.
    pub fn checked_add(self, duration: Duration) -> Result<Self, TimestampError> {
        let ticks = i64::try_from(duration.as_nanos() / 100)
            .ok()
            .and_then(|later| self.ticks.checked_add(later))
            .ok_or(TimestampError)?;
        Self { ticks, ..self }.checked()
    }

    fn checked(self) -> Result<Self, TimestampError> {
        let is_known = (Self::MIN..=Self::MAX).contains(&self);
        is_known.then_some(self).ok_or(TimestampError)
    }

    /// Whole seconds since 1970, rounded down: negative before.
    pub fn unix_seconds(self) -> i64 {
        self.ticks.div_euclid(TICKS_PER_SECOND)
    }

    /// Nanoseconds past [`unix_seconds`](Self::unix_seconds): a multiple of 100 under 10⁹.
    pub fn nanoseconds(self) -> u32 {
        // Under ten million times 100.
        self.ticks.rem_euclid(TICKS_PER_SECOND) as u32 * 100
    }

    /// The timestamp extension: 4, 8 or 12 bytes of `bytes`.
    fn to_messagepack(self, bytes: &mut [u8; 12]) -> &[u8] {
        let (seconds, nanoseconds) = (self.unix_seconds(), self.nanoseconds());
        match u64::try_from(seconds) {
            Ok(seconds) if seconds >> 34 == 0 => {
                let packed = u64::from(nanoseconds) << 34 | seconds;
                bytes[..8].copy_from_slice(&packed.to_be_bytes());
                if packed >> 32 == 0 {
                    &bytes[4..8]
                } else {
                    &bytes[..8]
                }
            }
            _ => {
                bytes[..4].copy_from_slice(&nanoseconds.to_be_bytes());
                bytes[4..].copy_from_slice(&seconds.to_be_bytes());
                bytes
            }
        }
    }

    fn from_messagepack(bytes: &[u8]) -> Result<Self, TimestampError> {
        if let Ok(bytes) = bytes.try_into() {
            return Self::from_unix(i64::from(u32::from_be_bytes(bytes)), 0);
        }
        if let Ok(bytes) = bytes.try_into() {
            let packed = u64::from_be_bytes(bytes);
            let seconds = packed & ((1 << 34) - 1);
            return Self::from_unix(seconds as i64, (packed >> 34) as u32);
        }
        let Some((nanoseconds, seconds)) = bytes.split_first_chunk() else {
            return Err(TimestampError);
        };
        let seconds = seconds.try_into().map_err(|_| TimestampError)?;
        Self::from_unix(
            i64::from_be_bytes(seconds),
            u32::from_be_bytes(*nanoseconds),
        )
    }
}

impl From<SystemTime> for Timestamp {
    /// Outside the years 1 to 9999 the first or the last instant.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let ticks = match since {
            Ok(after) => i64::try_from(after.as_nanos() / 100),
            // Rounded down, away from 1970.
            Err(before) => {
                i64::try_from(before.duration().as_nanos().div_ceil(100)).map(|ticks| -ticks)
            }
        };
        match (ticks, time > SystemTime::UNIX_EPOCH) {
            (Ok(ticks), _) => Self::utc(ticks).clamp(Self::MIN, Self::MAX),
            (Err(_), true) => Self::MAX,
            (Err(_), false) => Self::MIN,
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let distance = timestamp.ticks.unsigned_abs();
        let per_second = TICKS_PER_SECOND as u64;
        let nanoseconds = (distance % per_second) as u32 * 100;
        let distance = Duration::new(distance / per_second, nanoseconds);
        if timestamp.ticks < 0 {
            Self::UNIX_EPOCH - distance
        } else {
            Self::UNIX_EPOCH + distance
        }
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.ticks == other.ticks
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ticks.cmp(&other.ticks)
    }
}

impl Hash for Timestamp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ticks.hash(state);
    }
}

impl fmt::Display for Timestamp {
    /// As in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(*self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// As from JSON.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        text::read(text).ok_or(TimestampError)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(native::TIMESTAMP, &Inner(*self))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(native::TIMESTAMP, Native)
    }
}

/// No instant between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimestampError;

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no instant between the years 1 and 9999")
    }
}

impl std::error::Error for TimestampError {}

const TICKS_PER_SECOND: i64 = 10_000_000;

/// The type of the timestamp extension.
const EXTENSION: i8 = -1;

struct Inner(Timestamp);

impl Serialize for Inner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&self.0);
        }
        let mut bytes = [0; 12];
        let bytes = self.0.to_messagepack(&mut bytes);
        let extension = (EXTENSION, Raw(bytes));
        serializer.serialize_newtype_struct(EXTENSION_NAME, &extension)
    }
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct Native;

impl<'de> Visitor<'de> for Native {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Timestamp, D::Error> {
        if inner.is_human_readable() {
            inner.deserialize_str(Text)
        } else {
            inner.deserialize_newtype_struct(EXTENSION_NAME, Extension)
        }
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ISO 8601 date")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// The name under which rmp-serde writes and reads an extension, or is any other newtype's.
pub(super) const EXTENSION_NAME: &str = "_ExtStruct";

struct Extension;

impl<'de> Visitor<'de> for Extension {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp extension")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Timestamp, D::Error> {
        inner.deserialize_tuple(2, self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Timestamp, A::Error> {
        let missing = |parts| de::Error::invalid_length(parts, &"a type and its bytes");
        let extension: i8 = parts.next_element()?.ok_or_else(|| missing(0))?;
        let Payload(instant) = parts.next_element()?.ok_or_else(|| missing(1))?;
        if extension != EXTENSION {
            let found = Unexpected::Signed(extension.into());
            return Err(de::Error::invalid_value(found, &self));
        }
        instant.map_err(de::Error::custom)
    }
}

struct Payload(Result<Timestamp, TimestampError>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(PayloadVisitor)
    }
}

struct PayloadVisitor;

impl Visitor<'_> for PayloadVisitor {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("4, 8 or 12 bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Payload, E> {
        Ok(Payload(Timestamp::from_messagepack(bytes)))
    }
}
