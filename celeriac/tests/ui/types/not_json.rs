//! An output that cannot be stored.
#![allow(unused)]

use celeriac::TaskError;

struct Image;

#[celeriac::task(name = "render")]
async fn render(width: u32) -> Result<Image, TaskError> {
    Ok(Image)
}

fn main() {}
