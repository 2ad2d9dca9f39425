//! The journey of one message when nothing goes wrong, and when text is lost.

use otodoke_common::outcome::Class;
use otodoke_tests::carrier::{Person, Script};
use otodoke_tests::world::{World, legs};
use serde_json::json;

const PHONE: &str = "+819012345678";

fn leg(channel: &str, provider: &str, outcome: &str) -> (String, String, String) {
    (channel.to_owned(), provider.to_owned(), outcome.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_code_arrives_by_the_first_domestic_route_and_verifies() {
    let world = World::new().await;
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "delivered")]);
    let code = world.phone(PHONE).code().expect("the text holds a code");
    let checked = world.check(&id, &code).await;
    assert_eq!(checked.body["status"], "verified");
    assert_eq!(checked.body["verified"], json!(true));
    assert_eq!(world.message(&id).await["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_refuses_texts_is_called_and_the_call_speaks_the_code() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::fails_later(Class::RecipientBlocked));
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "refused"), leg("voice", "kodama", "delivered")]);
    let code = world.phone(PHONE).code().expect("the call spoke a code");
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn voicemail_never_hears_a_code() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::refuses(Class::RecipientBlocked));
    world.carrier("kodama").always(Script { person: Person::Voicemail, ..Script::works() });
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "failed").await;
    assert_eq!(message["failure"]["reason"], "recipient_blocked");
    assert_eq!(world.phone(PHONE).code(), None);
}
