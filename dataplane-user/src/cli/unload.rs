//! `nvectl unload`

use super::{
    context::Context,
    failure::{Failure, OK},
};
use crate::render;

pub(super) async fn run(context: &mut Context<'_>) -> Result<u8, Failure> {
    let unloaded = context.client.unload().await?;
    render::unloaded_into(&mut context.out, &unloaded)?;
    context.out.flush()?;
    context.say("nved stops; the policy stays in its store")?;
    Ok(OK)
}
