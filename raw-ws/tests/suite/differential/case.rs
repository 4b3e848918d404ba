//! Random frames, right and wrong, and where their bytes are cut.

use proptest::{collection::vec, prelude::*};

/// The largest frame, and the largest message, that either takes.
pub(crate) const LIMIT: usize = 1000;

/// How a payload length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LengthForm {
    Shortest,
    In16Bits,
    In64Bits,
    TopBitSet,
}

#[derive(Debug, Clone)]
pub(crate) struct RawFrame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    /// Whether the mask is as the role demands.
    pub(crate) is_masked_rightly: bool,
    pub(crate) length_form: LengthForm,
    pub(crate) payload: Vec<u8>,
}

impl RawFrame {
    pub(crate) fn new(first: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            first,
            is_masked_rightly: true,
            length_form: LengthForm::Shortest,
            payload: payload.into(),
        }
    }

    pub(crate) fn is_close(&self) -> bool {
        self.first == 0x88
    }

    pub(crate) fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk::<2>()?;
        self.is_close().then(|| u16::from_be_bytes(*code))
    }

    pub(crate) fn is_length_shortest(&self) -> bool {
        match self.length_form {
            LengthForm::Shortest => true,
            LengthForm::In16Bits => self.payload.len() > 125,
            LengthForm::In64Bits | LengthForm::TopBitSet => false,
        }
    }

    pub(crate) fn encode(&self, to_server: bool, out: &mut Vec<u8>) {
        let key = [0x5a, 0x00, 0xff, 0x13];
        let is_masked = to_server == self.is_masked_rightly;
        let mask_bit = if is_masked { 0x80 } else { 0 };
        let len = self.payload.len();
        let form = match self.length_form {
            LengthForm::Shortest if len > 125 => LengthForm::In16Bits,
            form => form,
        };
        out.push(self.first);
        match form {
            LengthForm::Shortest => out.push(mask_bit | len as u8),
            LengthForm::In16Bits => {
                out.push(mask_bit | 126);
                out.extend((len as u16).to_be_bytes());
            }
            LengthForm::In64Bits | LengthForm::TopBitSet => {
                out.push(mask_bit | 127);
                let top = u64::from(form == LengthForm::TopBitSet) << 63;
                out.extend((len as u64 | top).to_be_bytes());
            }
        }
        let at = out.len();
        if is_masked {
            out.extend(key);
            out.extend(&self.payload);
            raw_ws::mask(&mut out[at + 4..], key);
        } else {
            out.extend(&self.payload);
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) to_server: bool,
    pub(crate) frames: Vec<RawFrame>,
    /// Bytes of the last frame that never come.
    pub(crate) missing: usize,
    pub(crate) cuts: Vec<prop::sample::Index>,
}

impl Case {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last_begins = 0;
        for frame in &self.frames {
            last_begins = bytes.len();
            frame.encode(self.to_server, &mut bytes);
        }
        bytes.truncate((bytes.len() - self.missing.min(bytes.len())).max(last_begins));
        bytes
    }

    pub(crate) fn parts(&self) -> Vec<Vec<u8>> {
        let bytes = self.bytes();
        let mut cuts: Vec<usize> = self
            .cuts
            .iter()
            .map(|cut| cut.index(bytes.len() + 1))
            .collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec());
        parts.filter(|part| !part.is_empty()).collect()
    }

    /// The first so many frames, all of them whole.
    pub(crate) fn prefix(&self, frames: usize) -> Self {
        Self {
            frames: self.frames[..frames].to_vec(),
            missing: if frames == self.frames.len() {
                self.missing
            } else {
                0
            },
            cuts: Vec::new(),
            ..self.clone()
        }
    }
}

pub(crate) fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[a-zäßłж€𝄞😀]{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..20),
        2 => prop::sample::select(vec![0_usize, 1, 125, 126, 127, 300, LIMIT - 1, LIMIT, LIMIT + 1])
            .prop_map(|len| vec![b'x'; len]),
    ]
}

pub(crate) fn control() -> impl Strategy<Value = RawFrame> {
    let payload = prop_oneof![9 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 120..=125)];
    (prop::sample::select(vec![0x89_u8, 0x8a]), payload)
        .prop_map(|(first, payload)| RawFrame::new(first, payload))
}

/// A message in fragments, perhaps with control frames between them; its text may be cut inside a
/// character.
pub(crate) fn message() -> impl Strategy<Value = Vec<RawFrame>> {
    let cuts = vec(any::<prop::sample::Index>(), 0..4);
    let between = vec(prop::option::weighted(0.3, control()), 4);
    (any::<bool>(), payload(), cuts, between).prop_map(|(is_text, payload, cuts, between)| {
        let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(payload.len() + 1)).collect();
        cuts.extend([0, payload.len()]);
        cuts.sort_unstable();
        let count = cuts.len() - 1;
        let mut frames = Vec::new();
        for (nth, cut) in cuts.windows(2).enumerate() {
            let opcode = match nth {
                0 => 2 - u8::from(is_text),
                _ => 0,
            };
            let fin = if nth + 1 == count { 0x80 } else { 0 };
            frames.push(RawFrame::new(fin | opcode, &payload[cut[0]..cut[1]]));
            if nth + 1 < count {
                frames.extend(between[nth].clone());
            }
        }
        frames
    })
}

pub(crate) fn close() -> impl Strategy<Value = RawFrame> {
    let code = prop_oneof![
        4 => prop::sample::select(vec![1000_u16, 1001, 1011, 3000, 4999]),
        2 => 998_u16..1020,
        1 => any::<u16>(),
        1 => prop::sample::select(vec![2999_u16, 5000]),
    ];
    let reason = prop_oneof![
        6 => "[a-zж€]{0,20}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..10),
        1 => Just(vec![b'x'; 123]),
    ];
    let payload = prop_oneof![
        1 => Just(Vec::new()),
        1 => vec(any::<u8>(), 1),
        10 => (code, reason).prop_map(|(code, reason)| [&code.to_be_bytes()[..], &reason].concat()),
    ];
    payload.prop_map(|payload| RawFrame::new(0x88, payload))
}

/// A frame with anything wrong with it, or nothing.
pub(crate) fn stray() -> impl Strategy<Value = RawFrame> {
    let form = prop_oneof![
        Just(LengthForm::Shortest),
        Just(LengthForm::In16Bits),
        Just(LengthForm::In64Bits),
        Just(LengthForm::TopBitSet),
    ];
    let valid = || prop_oneof![message().prop_map(|frames| frames[0].clone()), control()];
    prop_oneof![
        (any::<u8>(), payload()).prop_map(|(first, payload)| RawFrame::new(first, payload)),
        (
            prop::sample::select(vec![0x00_u8, 0x80, 0x01, 0x82]),
            payload()
        )
            .prop_map(|(first, payload)| RawFrame::new(first, payload)),
        (valid(), 1_u8..8).prop_map(|(mut frame, rsv)| {
            frame.first |= rsv << 4;
            frame
        }),
        valid().prop_map(|mut frame| {
            frame.is_masked_rightly = false;
            frame
        }),
        (valid(), form).prop_map(|(mut frame, length_form)| {
            frame.length_form = length_form;
            frame
        }),
        control().prop_map(|mut frame| {
            frame.first &= 0x7f;
            frame
        }),
        (control(), 126_usize..300).prop_map(|(mut frame, len)| {
            frame.payload.resize(len, 0);
            frame
        }),
    ]
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let frames = vec(
        prop_oneof![
            10 => message(),
            3 => control().prop_map(|frame| vec![frame]),
            1 => close().prop_map(|frame| vec![frame]),
            2 => stray().prop_map(|frame| vec![frame]),
        ],
        1..6,
    )
    .prop_map(|units| units.concat());
    let missing = prop_oneof![3 => Just(0_usize), 2 => 1_usize..12, 1 => 1_usize..300];
    let cuts = vec(any::<prop::sample::Index>(), 0..12);
    (any::<bool>(), frames, missing, cuts).prop_map(|(to_server, frames, missing, cuts)| Case {
        to_server,
        frames,
        missing,
        cuts,
    })
}
