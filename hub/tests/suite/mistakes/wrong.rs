// Wrong registrations, compiled by `mistakes.rs`: a line that must be refused says what the
// compiler must say of it.

use hub::{Context, Hub, UploadStream};

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

async fn one_value(_: Context<State>) -> hub::Result<u32> {
    Ok(1)
}

fn streams(_: Context<State>, numbers: UploadStream<u32>) -> UploadStream<u32> {
    numbers
}

async fn streams_later(
    _: Context<State>,
    numbers: UploadStream<u32>,
) -> hub::Result<UploadStream<u32>> {
    Ok(numbers)
}

async fn streams_later_for_sure(
    _: Context<State>,
    numbers: UploadStream<u32>,
) -> UploadStream<u32> {
    numbers
}

hub::client_methods! {
    trait ChatClient {
        fn said(text: &str) = "Said";
        async fn ask(text: &str) -> String = "Ask";
        async fn stop() = "Stop";
    }
}

async fn one_and_many(hub: hub::HubHandle) -> hub::Result<()> {
    hub.all().said("text")?;
    hub.client("id").said("text")?;
    let _: String = hub.client("id").ask("text").await?;
    hub.client("id").stop().await?;
    hub.all().ask("text").await?; //~ only one client can be asked, and `Clients` may be many
    Ok(())
}

async fn right(_: Context<State>, _: i64, _: UploadStream<String>) -> hub::Result<()> {
    Ok(())
}

fn main() {
    let hub = Hub::new(State);
    let hub = hub.method("1", bad_argument); //~ `NotSerde` cannot be a hub method parameter
    let hub = hub.method("2", other_state); //~ its first parameter must be `Context<State>`
    let hub = hub.method("3", no_context); //~ its first parameter must be `Context<State>`
    let hub = hub.method("4", no_result); //~ this one returns `impl Future<Output = u32>`
    let hub = hub.method("5", not_send); //~ future cannot be sent between threads safely
    let hub = hub.method("6", not_async); //~ a hub method is an `async fn` that returns `hub::Result<_>`; this one returns
    let hub = hub.stream("7", no_stream); //~ a streaming method returns a stream of results; this one returns `Vec<i64>`
    let hub = hub.stream("9", one_value); //~ a method that is answered with one value is added with `Hub::method`
    let hub = hub.method("11", streams); //~ a function that returns a stream is added with `Hub::stream`
    let hub = hub.stream("13", streams).stream("14", streams_later);
    let hub = hub.stream("15", streams_later_for_sure);
    let _: Hub<State> = hub.method("8", right);
}
