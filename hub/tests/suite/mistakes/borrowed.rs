// Parameters that borrow, compiled by `mistakes.rs`: alone, since the compiler tells of them only where
// everything else is right.

use hub::{Context, Hub};

async fn text(_: Context, _: &str) -> hub::Result<()> {
    Ok(())
}

async fn bytes(_: Context, _: u32, _: &[u8]) -> hub::Result<()> {
    Ok(())
}

fn main() {
    let hub = Hub::new(());
    let hub = hub.method("1", text); //~ WriteStringForStr
    let hub = hub.method("2", bytes); //~ VecForSlice
    let hub = hub.method("3", async |_: Context, text: &str| Ok(text.len())); //~ WriteStringForStr
    let _: Hub = hub;
}
