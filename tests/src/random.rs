//! Policies and frames at random: mostly right, and wrong in one place or another. The same seed gives
//! the same ones.

mod any;
mod rewrite;

use dataplane_common::{
    abi::{lookup::LookupKey, lookup::LookupRecord, vport::Vport},
    id::Mac,
};
use dataplane_user::policy::table_image::TableImage;
use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv4Options};

use crate::{
    packet::{Ca, arp, eth, received, tagged},
    policy::{BLUE, BLUE_RDID, GATEWAY_MAC, RED, RED_RDID, two_tenants, vm},
};

pub use any::{any_policy, any_received, any_sent};

/// Last bytes of the CAs that policies and frames use: the gateway, ports, and who may be elsewhere.
const CAS: [u8; 10] = [1, 5, 6, 7, 20, 21, 22, 23, 24, 25];
/// Of these, those that a policy may put on other hosts.
const ELSEWHERE: [u8; 6] = [20, 21, 22, 23, 24, 25];

/// A source of numbers (splitmix64, Steele et al. 2014).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins at a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u16) -> u16 {
        u16::try_from(self.roll() % u64::from(limit)).expect("below a u16")
    }

    /// `true` once in so many times.
    pub fn one_in(&mut self, times: u16) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        let count = u16::try_from(choice.len()).expect("few");
        choice[usize::from(self.below(count))]
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[0]
    }
}

/// Tables like those of [`two_tenants`], whole: other hosts, paths and settings at random.
pub fn policy(dice: &mut Dice) -> TableImage {
    let mut image = two_tenants();
    image.config.flow_id = dice.of(&[0, 1]);
    image.config.seed = u32::from(dice.byte());
    image.config.outer_ttl = dice.of(&[1, 64, 255]);
    image.config.dscp = dice.of(&[0xFF, 0, 46]);
    for hop in image.underlay.values_mut() {
        hop.path_mtu = dice.of(&[110, 576, 1400, 1500, 1600]);
    }
    for port in image.vports.values_mut() {
        port.mtu = dice.of(&[576, 1500, 3000]);
        port.flags = dice.of(&[0, 0, 0, Vport::DROP_TAGGED]);
    }
    for (rdid, vsid) in [(BLUE_RDID, BLUE), (RED_RDID, RED)] {
        for last in ELSEWHERE {
            if dice.one_in(3) {
                continue;
            }
            let record = LookupRecord {
                vsid: if dice.one_in(8) { 6002 } else { vsid },
                pa_index: dice.of(&[2, 2, 2, 3, 4]),
                ifindex: 0,
                mac: vm(last),
                flags: 0,
            };
            let ca = [10, 0, 0, last].into();
            image.lookup.insert(LookupKey { rdid, ca }, record);
        }
    }
    image
}

/// A frame that blue's 10.0.0.5 sends.
pub fn sent_frame(dice: &mut Dice) -> Vec<u8> {
    let src = if dice.one_in(20) {
        ca(dice)
    } else {
        [10, 0, 0, 5]
    };
    let dst = ca(dice);
    let frame = tenants_frame(dice, src, dst);
    if dice.one_in(10) {
        let tags = [[0x81, 0, 0, 1], [0x88, 0xA8, 0, 2], [0x81, 0, 0, 3]];
        return tagged(&frame, &tags[..usize::from(dice.below(4))]);
    }
    frame
}

/// A frame that comes from the underlay.
pub fn received_frame(dice: &mut Dice) -> Vec<u8> {
    let src = ca(dice);
    let dst = [10, 0, 0, dice.of(&[5, 5, 6, 7])];
    let inner = tenants_frame(dice, src, dst);
    let vsid = dice.of(&[BLUE, BLUE, RED, RED, 9999, 0]);
    let pa = [192, 0, 2, dice.of(&[2, 2, 2, 3, 1])];
    let mut frame = received(vsid, pa, dice.of(&[0, 0, 2, 3]), &inner);
    if dice.one_in(20) {
        spoil(dice, &mut frame, 80);
    }
    frame
}

fn ca(dice: &mut Dice) -> Ca {
    [10, 0, 0, dice.of(&CAS)]
}

fn tenants_frame(dice: &mut Dice, src: Ca, dst: Ca) -> Vec<u8> {
    let mut frame = if dice.one_in(4) {
        let op = dice.of(&[1, 1, 1, 2]);
        let group = op == 1 && !dice.one_in(3);
        let to = if group { Mac::BROADCAST } else { vm(dst[3]) };
        arp(op, to, (vm(src[3]), src), (vm(dst[3]), dst))
    } else {
        ipv4(dice, src, dst)
    };
    if dice.one_in(20) {
        spoil(dice, &mut frame, 42);
    }
    frame
}

/// Changes one of the first `headers` bytes.
fn spoil(dice: &mut Dice, frame: &mut [u8], headers: u16) {
    let end = headers.min(u16::try_from(frame.len()).expect("short"));
    frame[usize::from(dice.below(end))] = dice.byte();
}

fn ipv4(dice: &mut Dice, src: Ca, dst: Ca) -> Vec<u8> {
    let most = dice.of(&[64, 64, 1600, 2900]);
    let len = 16 + dice.below(most);
    let to = if dice.one_in(6) {
        GATEWAY_MAC
    } else {
        vm(dst[3])
    };
    let mut frame = eth(to, vm(src[3]), 0x0800);
    let protocol = dice.of(&[IpNumber::UDP, IpNumber::TCP, IpNumber::ICMP, IpNumber(99)]);
    let mut ip = Ipv4Header::new(len, 64, protocol, src, dst).expect("short");
    ip.dont_fragment = dice.one_in(3);
    ip.dscp = dice.of(&[0, 46]).try_into().expect("six bits");
    ip.ecn = dice.of(&[0, 1, 2, 3]).try_into().expect("two bits");
    ip.identification = dice.below(u16::MAX);
    if dice.one_in(6) {
        ip.more_fragments = dice.one_in(2);
        ip.fragment_offset = IpFragOffset::try_new(dice.below(5000)).expect("13 bits");
    }
    if dice.one_in(6) {
        // A timestamp (not copied to fragments), a router alert (copied), the end.
        let options = [0x44, 4, 5, 0, 0x94, 4, 0, 0, 0, 0, 0, 0];
        ip.options = Ipv4Options::try_from(&options[..]).expect("whole words");
        ip.set_payload_len(usize::from(len)).expect("short");
    }
    ip.header_checksum = ip.calc_header_checksum();
    ip.write(&mut frame).expect("a vector takes it");
    frame.extend((0..len).map(|_| dice.byte()));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_again() {
        let run = |seed| {
            let mut dice = Dice::new(seed);
            (
                policy(&mut dice),
                sent_frame(&mut dice),
                received_frame(&mut dice),
            )
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
