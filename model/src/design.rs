//! Which protocol is checked: the one that is meant, or one of the simpler ones that are wrong.

/// A protocol. All but [`Design::Meant`] and [`Design::AsWritten`] change one rule of `Meant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// Sights and marks count only within one incarnation of the shard; content leaves memory only when
    /// the parked copy itself has become old.
    Meant,
    /// The rules without incarnations: an old sight (or mark) and an answer that holds the batch are
    /// enough, whatever happened to the shard between them; content leaves memory on the first answer.
    AsWritten,
    /// An old sight counts, though the shard crashed after it.
    SightAcrossCrash,
    /// An old mark counts, though the owner crashed after it.
    MarkAcrossCrash,
    /// Content leaves memory as soon as the copy's shard has acknowledged it.
    EvictAtOnce,
    /// The shard keeps the highest sequence instead of a set.
    HighWaterMark,
    /// The base passes a parked batch as soon as it was seen in the set.
    BaseAtFirstSight,
    /// A deliverer deletes a copy as soon as it is delivered.
    DeleteAtDelivery,
    /// A batch is forgotten as soon as it was seen in the set.
    ForgetAtFirstSight,
    /// The visits of an abandoned call become part of a new batch.
    MergeBack,
    /// Answers of given-up calls are learnt from, each for what it is: asked when its call was asked.
    LearnFromLateAnswers,
    /// Answers of given-up calls are taken for the answer to the call in flight.
    MistakeLateAnswers,
    /// A deliverer sends its batch's sequence as base.
    DelivererSendsBase,
}

impl Design {
    /// Whether a sight is void once the shard has crashed.
    pub fn sights_end_at_a_crash(self) -> bool {
        !matches!(self, Self::AsWritten | Self::SightAcrossCrash)
    }

    /// Whether a mark is void once the owner has crashed.
    pub fn marks_end_at_a_crash(self) -> bool {
        !matches!(self, Self::AsWritten | Self::MarkAcrossCrash)
    }

    /// Whether content stays in memory until the parked copy is old.
    pub fn content_waits_for_an_old_copy(self) -> bool {
        !matches!(self, Self::AsWritten | Self::EvictAtOnce)
    }

    /// Bits of the visits in the first batches of a writer: each has its own, but for merging back, which
    /// sends the first again under new sequences.
    pub fn visits(self, batches: u8) -> u8 {
        if self == Self::MergeBack { batches & 1 } else { batches }
    }

    /// Whether answers of given-up calls can reach the writer at all.
    pub fn believes_late_answers(self) -> bool {
        matches!(self, Self::LearnFromLateAnswers | Self::MistakeLateAnswers)
    }
}
