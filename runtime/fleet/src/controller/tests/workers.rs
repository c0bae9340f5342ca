//! What workers tell, and what they are told.
