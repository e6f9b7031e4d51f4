//! Values that are one word or number in a document.

use std::{fmt, str::FromStr};

use dataplane_common::id::Mac;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Outer DSCP: the word `copy`, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dscp {
    /// The inner packet's.
    Copy,
    /// A fixed value; 0..=63 is valid.
    Fixed(u8),
}

/// MTU of a subnet's ports: the word `auto`, or bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mtu {
    /// Path MTU less the outer headers: 42 bytes over IPv4, 62 over IPv6, none with rule
    /// `TranslationMethodNat`.
    #[default]
    Auto,
    /// Fixed, layer-3 bytes; 576..=9000 is valid.
    Bytes(u16),
}

/// Largest TCP segment: the word `auto`, or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MssClamp {
    /// What fits the port's MTU.
    Auto,
    /// Fixed; 536..=8960 is valid.
    Bytes(u16),
}

/// A MAC as text: `02:00:00:0b:00:05`, dashes accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub Mac);

impl FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || format!("`{text}` is no MAC address; write it as 02:00:00:0b:00:05");
        let mut mac = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut mac {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(refuse)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| refuse())?;
        }
        if parts.next().is_some() {
            return Err(refuse());
        }
        Ok(Self(Mac(mac)))
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Implements serde for "a fixed word or a number".
macro_rules! word_or_number {
    ($type:ty, $number:ty, $word:literal => $unit:path, $tuple:path) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $unit => serializer.serialize_str($word),
                    $tuple(number) => number.serialize(serializer),
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(
                    untagged,
                    expecting = "expected the word `auto` or `copy`, or a number in range"
                )]
                enum Raw {
                    Number($number),
                    Word(String),
                }
                match Raw::deserialize(deserializer)? {
                    Raw::Number(number) => Ok($tuple(number)),
                    Raw::Word(word) if word == $word => Ok($unit),
                    Raw::Word(word) => Err(de::Error::custom(format!(
                        concat!("`{}` is neither `", $word, "` nor a number in range"),
                        word
                    ))),
                }
            }
        }
    };
}

word_or_number!(Dscp, u8, "copy" => Dscp::Copy, Dscp::Fixed);
word_or_number!(Mtu, u16, "auto" => Mtu::Auto, Mtu::Bytes);
word_or_number!(MssClamp, u16, "auto" => MssClamp::Auto, MssClamp::Bytes);
