//! Why nobody gets a licence: codes for programs, words for people.

/// Why a licence is refused. The codes never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// No `Authorization: Bearer`.
    TokenMissing,
    /// No JWT, or one without a claim that is needed.
    TokenMalformed,
    /// Another algorithm than the key's.
    TokenAlgorithm,
    /// No such key.
    TokenKeyUnknown,
    /// Not signed with that key.
    TokenSignature,
    /// For somebody else.
    TokenAudience,
    /// By somebody else.
    TokenIssuer,
    /// Over.
    TokenExpired,
    /// Longer than a token may last.
    TokenTooLong,
    /// From the future.
    TokenNotYetValid,
    /// Used before.
    TokenReplayed,
    /// From before this service began to remember which were used.
    TokenBeforeStart,
    /// From before that, while the service waits until nobody else can have taken what it takes.
    ServiceStarting,
    /// No such account.
    AccountUnknown,
    /// Nothing that the account has covers the asset.
    NotEntitled,
    /// It was rented, and that is over.
    RentalExpired,
    /// It was given for as long as its licences are good for.
    LicenceExpired,
    /// It may not be kept.
    OfflineNotAllowed,
    /// It is an event's, which is not open.
    EventNotOpen,
    /// Not in that country.
    Blackout,
    /// As many streams as the account may have.
    TooManyStreams,
    /// As many devices as the account may have.
    TooManyDevices,
    /// No such content key.
    KeyUnknown,
    /// No licence request.
    RequestMalformed,
    /// Too large a licence request.
    RequestTooLarge,
    /// The key service does not answer.
    KeyServiceUnavailable,
    /// The catalogue does not answer.
    CatalogueUnavailable,
    /// What remembers used tokens does not answer, or is full.
    ReplayWindowUnavailable,
    /// Too many requests for one account at once.
    Busy,
}

impl Refusal {
    /// All of them, as the documentation lists them.
    pub const ALL: &[Refusal] = &[
        Refusal::TokenMissing,
        Refusal::TokenMalformed,
        Refusal::TokenAlgorithm,
        Refusal::TokenKeyUnknown,
        Refusal::TokenSignature,
        Refusal::TokenAudience,
        Refusal::TokenIssuer,
        Refusal::TokenExpired,
        Refusal::TokenTooLong,
        Refusal::TokenNotYetValid,
        Refusal::TokenReplayed,
        Refusal::TokenBeforeStart,
        Refusal::ServiceStarting,
        Refusal::AccountUnknown,
        Refusal::NotEntitled,
        Refusal::RentalExpired,
        Refusal::LicenceExpired,
        Refusal::OfflineNotAllowed,
        Refusal::EventNotOpen,
        Refusal::Blackout,
        Refusal::TooManyStreams,
        Refusal::TooManyDevices,
        Refusal::KeyUnknown,
        Refusal::RequestMalformed,
        Refusal::RequestTooLarge,
        Refusal::KeyServiceUnavailable,
        Refusal::CatalogueUnavailable,
        Refusal::ReplayWindowUnavailable,
        Refusal::Busy,
    ];

    /// For programs.
    pub fn code(self) -> &'static str {
        self.parts().0
    }

    /// Of HTTP.
    pub fn status(self) -> u16 {
        self.parts().1
    }

    /// For people.
    pub fn message(self) -> &'static str {
        self.parts().2
    }

    fn parts(self) -> (&'static str, u16, &'static str) {
        match self {
            Refusal::TokenMissing => {
                ("token-missing", 401, "there is no token: send Authorization: Bearer JWT")
            }
            Refusal::TokenMalformed => {
                ("token-malformed", 401, "the token is no JWT with the claims that are needed")
            }
            Refusal::TokenAlgorithm => {
                ("token-algorithm", 401, "the token names another algorithm than its key's")
            }
            Refusal::TokenKeyUnknown => {
                ("token-key-unknown", 401, "the token names a key that is not known here")
            }
            Refusal::TokenSignature => ("token-signature", 401, "the token's signature is wrong"),
            Refusal::TokenAudience => ("token-audience", 401, "the token is for somebody else"),
            Refusal::TokenIssuer => ("token-issuer", 401, "the token was issued by somebody else"),
            Refusal::TokenExpired => ("token-expired", 401, "the token has expired"),
            Refusal::TokenTooLong => ("token-too-long", 401, "the token lasts longer than tokens may"),
            Refusal::TokenNotYetValid => ("token-not-yet-valid", 401, "the token is from the future"),
            Refusal::TokenReplayed => {
                ("token-replayed", 401, "the token was used before: ask for another one")
            }
            Refusal::TokenBeforeStart => (
                "token-before-start",
                401,
                "the token was issued before the service began to remember which were used: ask for another one",
            ),
            Refusal::ServiceStarting => (
                "service-starting",
                503,
                "the service has just begun, and waits until nobody else can have taken the same tokens: try again with another token",
            ),
            Refusal::AccountUnknown => ("account-unknown", 403, "there is no such account"),
            Refusal::NotEntitled => ("not-entitled", 403, "nothing that the account has covers this"),
            Refusal::RentalExpired => ("rental-expired", 403, "the time of the rental is over"),
            Refusal::LicenceExpired => {
                ("licence-expired", 403, "this was played for as long as a licence is good for: begin anew")
            }
            Refusal::OfflineNotAllowed => {
                ("offline-not-allowed", 403, "this may not be kept to be played without a network")
            }
            Refusal::EventNotOpen => ("event-not-open", 403, "the event has not begun, or is over"),
            Refusal::Blackout => ("blackout", 403, "this may not be watched in the viewer's country"),
            Refusal::TooManyStreams => {
                ("too-many-streams", 429, "as many streams run as the account may have")
            }
            Refusal::TooManyDevices => {
                ("too-many-devices", 403, "the account has as many devices as it may have")
            }
            Refusal::KeyUnknown => ("key-unknown", 404, "there is no such content key"),
            Refusal::RequestMalformed => {
                ("request-malformed", 400, "this is no licence request of W3C ClearKey")
            }
            Refusal::RequestTooLarge => ("request-too-large", 413, "the licence request is too large"),
            Refusal::KeyServiceUnavailable => {
                ("key-service-unavailable", 503, "the key service does not answer: try again")
            }
            Refusal::CatalogueUnavailable => {
                ("catalogue-unavailable", 503, "the accounts cannot be read: try again with another token")
            }
            Refusal::ReplayWindowUnavailable => (
                "replay-window-unavailable",
                503,
                "what remembers used tokens does not answer or is full: try again with another token",
            ),
            Refusal::Busy => ("busy", 503, "too much is asked for at once: try again with another token"),
        }
    }
}
