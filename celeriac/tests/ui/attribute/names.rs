//! Tasks without a name on the wire: the message is the line to write. The task stays usable.
#![allow(unused)]

use celeriac::TaskError;

#[celeriac::task]
async fn resize() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(queue = "images", retries = 3, cpu)]
fn r#crop(width: u32) -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task]
async fn größe() -> Result<(), TaskError> {
    Ok(())
}

fn main() {
    let _ = resize();
}
