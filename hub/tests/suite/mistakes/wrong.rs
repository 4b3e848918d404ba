// Six wrong registrations, compiled by `main.rs`: a line that must be refused says what the
// compiler must say of it.

use hub::{Context, Hub};

struct State;
struct Other;
struct NotSerde;

async fn bad_argument(_: Context<State>, _: NotSerde) -> hub::Result<()> {
    Ok(())
}

async fn other_state(_: Context<Other>) -> hub::Result<()> {
    Ok(())
}

async fn no_context(_: String) -> hub::Result<()> {
    Ok(())
}

async fn no_result(_: Context<State>) -> u32 {
    1
}

async fn not_send(_: Context<State>) -> hub::Result<()> {
    let shared = std::rc::Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
    Ok(())
}

fn not_async(_: Context<State>) -> hub::Result<()> {
    Ok(())
}

fn no_stream(_: Context<State>) -> Vec<i64> {
    Vec::new()
}

async fn right(_: Context<State>, _: i64, _: hub::UploadStream<String>) -> hub::Result<()> {
    Ok(())
}

fn main() {
    let hub = Hub::new(State);
    let hub = hub.method("1", bad_argument); //~ `NotSerde` cannot be a hub method parameter
    let hub = hub.method("2", other_state); //~ its first parameter must be `Context<State>`
    let hub = hub.method("3", no_context); //~ its first parameter must be `Context<State>`
    let hub = hub.method("4", no_result); //~ to be a future that resolves to `Result<_, HubError>`, but it resolves to `u32`
    let hub = hub.method("5", not_send); //~ future cannot be sent between threads safely
    let hub = hub.method("6", not_async); //~ `Result<(), HubError>` is not a future
    let hub = hub.stream("7", no_stream); //~ `Vec<i64>`
    let _: Hub<State> = hub.method("8", right);
}
