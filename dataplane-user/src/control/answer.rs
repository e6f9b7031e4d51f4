//! Answers: a JSON body, or [`Problems`] with a status that says what kind.

use axum::{
    Json,
    extract::rejection::{PathRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::protocol::{Problem, Problems};
use crate::store::objects::ObjectError;

/// An error answer.
#[derive(Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What is wrong.
    pub problems: Problems,
}

impl Refusal {
    /// One problem that concerns no object.
    pub fn new(status: StatusCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::about(status, "", message, hint)
    }

    /// One problem of an object.
    pub fn about(
        status: StatusCode,
        object: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let problem = Problem {
            object: object.into(),
            document: None,
            path: String::new(),
            message: message.into(),
            hint: hint.into(),
        };
        Self {
            status,
            problems: Problems {
                problems: vec![problem],
            },
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.problems)).into_response()
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(
            rejection.status(),
            format!("the request is not understood: {}", rejection.body_text()),
            "",
        )
    }
}

impl From<PathRejection> for Refusal {
    fn from(rejection: PathRejection) -> Self {
        Self::new(
            rejection.status(),
            format!("the request is not understood: {}", rejection.body_text()),
            "",
        )
    }
}

impl From<ObjectError> for Refusal {
    fn from(error: ObjectError) -> Self {
        let text = error.to_string();
        match error {
            ObjectError::Invalid(problems) => Self {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                problems,
            },
            ObjectError::InUse { problems, .. } => Self {
                status: StatusCode::CONFLICT,
                problems,
            },
            ObjectError::NotFound { object } => {
                Self::about(StatusCode::NOT_FOUND, object.to_string(), text, "")
            }
            ObjectError::Conflict { .. } => Self::new(StatusCode::CONFLICT, text, ""),
            ObjectError::Store(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, text, ""),
        }
    }
}
