//! Harness of the privileged tests.
