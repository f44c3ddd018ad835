//! Creates that a client may repeat, and get once.

/// An `Idempotency-Key` of a request, and what tells its body from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The client's key; it counts for one user and one operation.
    pub key: String,
    /// SHA-256 of the request's body.
    pub fingerprint: [u8; 32],
}

/// What came of a create under an [`IdempotencyKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created<T> {
    /// It was created now.
    Now(T),
    /// It was created by an earlier request under the same key; as it was then.
    Before(T),
}

impl<T> Created<T> {
    /// What was created, whenever it was.
    pub fn into_inner(self) -> T {
        match self {
            Self::Now(created) | Self::Before(created) => created,
        }
    }
}
