//! What a reader wants to know, and which comparisons answer it.

use crate::scenario::{Comparison, Metric, PathName, Scenario, Sink, Work};

/// One table of a report.
pub struct Question {
    /// The heading.
    pub title: &'static str,
    /// What to know before reading the table.
    pub about: &'static str,
    answers: fn(&Comparison) -> bool,
}

impl Question {
    /// Whether a comparison answers it. One may answer several questions.
    pub fn asks(&self, comparison: &Comparison) -> bool {
        (self.answers)(comparison)
    }
}

/// All questions, in the order of a report.
pub const QUESTIONS: [Question; 11] = [
    Question {
        title: "Size of the tables, and which records are asked for",
        about: "Share of the packet rate of the do-nothing twin: the same devices, and programs that only redirect.",
        answers: |of| {
            let plain = Scenario {
                records: of.scenario.records,
                keys: of.scenario.keys,
                ..at(of)
            };
            beside_twin(of, plain) && of.scenario.work == Work::EncapDecap
        },
    },
    Question {
        title: "IP rewrite",
        about: "Share of the packet rate of the do-nothing twin where packets bear PAs in place of their CAs. A host knows 65,535 PAs at most: \
                `UNDERLAY` has no more entries. So no more CAs can have one of their own, whatever the size of the table of lookup records, \
                and packets ask for these evenly; what else is in the table is in the way.",
        answers: |of| rate(of) && of.scenario.work.rewrites() && !textbook(of.ours),
    },
    Question {
        title: "Beside other ways",
        about: "Packet rate of ours over that of the other path, which does the same work for the same frames.",
        answers: |of| rate(of) && !twin(of) && !of.twin.is_ours() && !textbook(of.ours),
    },
    Question {
        title: "Length of the frame",
        about: "Share of the packet rate of the do-nothing twin.",
        answers: |of| {
            let plain = Scenario {
                frame: of.scenario.frame,
                ..at(of)
            };
            beside_twin(of, plain)
        },
    },
    Question {
        title: "Hooks and kinds of work",
        about: "Share of the packet rate of the do-nothing twin; drops are counted where they happen.",
        answers: |of| {
            let plain = Scenario {
                work: of.scenario.work,
                sink: of.scenario.sink,
                ..at(of)
            };
            beside_twin(of, plain)
        },
    },
    Question {
        title: "Queues",
        about: "With one generator thread a queue, each on a CPU of its own. The generators share these CPUs with the dataplane.",
        answers: |of| {
            let plain = Scenario {
                queues: of.scenario.queues,
                ..at(of)
            };
            beside_twin(of, plain)
        },
    },
    Question {
        title: "A second thread",
        about: "Packet rate with two queues, each with a thread that generates on a CPU of its own, over that with one; of redirects as well, whose gain is the limit.",
        answers: |of| {
            matches!(
                of.twin,
                PathName::NveXdpOneThread
                    | PathName::NveTcOneThread
                    | PathName::TwinXdpOneThread
                    | PathName::TwinTcOneThread
            )
        },
    },
    Question {
        title: "Updates while packets flow",
        about: "Packet rate while records are written again, in the tables that packets are looked up in, over that of the same without. A thread that wakes as often and writes nothing is the limit: it takes its share of the machine.",
        answers: |of| matches!(of.twin, PathName::NveXdpStill | PathName::NveTcStill),
    },
    Question {
        title: "What can be had at all",
        about: "Packet rate of programs out of a textbook, which look one destination up in a HASH, check nothing, count nothing and decapsulate without a look, over that of redirects alone or of a veth without hosts: what the kernel leaves to any program on this machine.",
        answers: |of| rate(of) && textbook(of.ours),
    },
    Question {
        title: "TCP",
        about: "Throughput of ours over that of the other path, between the stacks of two tenants.",
        answers: |of| matches!(of.metric, Metric::TcpBulk(_)),
    },
    Question {
        title: "Latency",
        about: "What ours adds to the round trip of one byte over TCP, in microseconds (negative: takes away).",
        answers: |of| matches!(of.metric, Metric::RoundTripP50 | Metric::RoundTripP99),
    },
];

fn rate(of: &Comparison) -> bool {
    of.metric == Metric::PacketRate
}

/// Whether it is compared with the do-nothing twin.
pub fn twin(of: &Comparison) -> bool {
    matches!(of.twin, PathName::TwinXdp | PathName::TwinTc)
}

/// Whether it is of no use to anybody, but as a limit.
pub fn textbook(path: PathName) -> bool {
    matches!(path, PathName::TextbookXdp | PathName::TextbookTc)
}

/// The packet rate of ours beside its twin, under just these conditions.
fn beside_twin(of: &Comparison, conditions: Scenario) -> bool {
    rate(of) && twin(of) && !textbook(of.ours) && of.scenario == conditions
}

/// The plain point of the path: frames to XDP, skbs to TC.
pub(super) fn at(of: &Comparison) -> Scenario {
    let sink = if matches!(of.ours, PathName::NveTc | PathName::TwinTc) {
        Sink::Skb
    } else {
        Sink::Frame
    };
    Scenario {
        sink,
        ..Scenario::PLAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        results::sample::against,
        scenario::{Keys, Work},
    };

    fn titles(of: &Comparison) -> Vec<&'static str> {
        let asked = QUESTIONS.iter().filter(|question| question.asks(of));
        asked.map(|question| question.title).collect()
    }

    #[test]
    fn the_plain_point_is_in_every_table_of_the_twin() {
        let titles = titles(&against(PathName::NveXdp, PathName::TwinXdp));
        assert_eq!(titles.len(), 4, "{titles:?}");
    }

    #[test]
    fn one_axis_leads_to_one_table() {
        let mut wide = against(PathName::NveXdp, PathName::TwinXdp);
        wide.scenario.keys = Keys::Zipf;
        assert_eq!(titles(&wide), [QUESTIONS[0].title]);
        let mut long = against(PathName::NveXdp, PathName::TwinXdp);
        long.scenario.frame = 1514;
        assert_eq!(titles(&long), [QUESTIONS[3].title]);
        let peer = against(PathName::NveTc, PathName::VxlanBridge);
        assert_eq!(titles(&peer), [QUESTIONS[2].title]);
        let two = against(PathName::NveTc, PathName::NveTcOneThread);
        assert_eq!(titles(&two), [QUESTIONS[6].title]);
        let mut rewrite = against(PathName::NveXdp, PathName::TwinXdp);
        rewrite.scenario.work = Work::RewriteOutIn;
        rewrite.scenario.records = 1 << 20;
        assert_eq!(titles(&rewrite), [QUESTIONS[1].title]);
        let limit = against(PathName::TextbookTc, PathName::TwinTc);
        assert_eq!(titles(&limit), ["What can be had at all"]);
    }
}
