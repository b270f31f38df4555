//! Whose a token is.

use gantry_api::authentication::v1::{TokenReviewSpec, TokenReviewStatus};

use super::info;
use crate::status::ApiError;
use crate::tokens::Authenticator;

/// Whose the token is.
pub(super) async fn status(
    authenticator: &Authenticator,
    spec: &TokenReviewSpec,
) -> Result<TokenReviewStatus, ApiError> {
    if spec.token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    Ok(match authenticator.identify(&spec.token, &spec.audiences).await {
        Ok(Some(known)) => TokenReviewStatus {
            authenticated: true,
            user: Some(info(&known.user)),
            audiences: known.audiences,
            error: String::new(),
        },
        Ok(None) => TokenReviewStatus::default(),
        Err(error) => TokenReviewStatus { error, ..TokenReviewStatus::default() },
    })
}
