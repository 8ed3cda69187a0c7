//! Which protocol of re-homing is checked: the one that is meant, or one with a rule changed.

/// A protocol. All but [`Design::Meant`] change one rule of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// The protocol that is meant: see the module's documentation.
    Meant,
    /// A move is delivered as soon as it is there.
    DeliverAtOnce,
    /// A seen mark counts, though its shard has crashed since.
    SeenAcrossCrash,
    /// A delivered mark counts, though the destination has crashed since.
    DeliveredAcrossCrash,
    /// A move is deleted as soon as it is delivered.
    DeleteAtDelivery,
    /// The destination forgets a move's writer as soon as the move is deleted.
    ForgetRecord,
    /// `out:` fields go, and with them at once the `in:` fields that belong to them.
    OutAndInTogether,
    /// `in:` fields go as soon as every shard is cleaned.
    InWithoutWait,
    /// A cleaned mark counts, though its shard has crashed since.
    CleanedAcrossCrash,
    /// A shard is settled, though its server has begun another run since its notes were cleaned.
    OwnRunUnchecked,
    /// Takes begin before every shard is marked.
    TakeBeforeAllMarked,
    /// A round goes on, although a writer with another ring wrote meanwhile.
    LateUnchecked,
    /// A delivery by a flusher with another ring than the shard's does not count as late.
    DeliveryNeverLate,
    /// No round numbers: what was read of a shard in an earlier round is taken for this one's.
    NoRounds,
    /// A take looks neither at the ring in force nor at the stage.
    TakeUnchecked,
    /// A reader adds `out - in`, also where it is negative.
    NoMax,
}

impl Design {
    /// Whether a shard's round says what it has to do with the others.
    pub fn has_rounds(self) -> bool {
        self != Self::NoRounds
    }
}
