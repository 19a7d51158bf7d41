//! Servers that take their time.

use crate::common::{bodies, public_room, say, strangers};
use async_trait::async_trait;
use roomlet_homeserver::{Homeserver, Request, Response};
use roomlet_world::Endpoint;
use std::{sync::Arc, time::Duration};

/// A homeserver whose answers to joins take a while to arrive.
struct FarAway(Homeserver);

#[async_trait]
impl Endpoint for FarAway {
    async fn serve(&self, request: Request) -> Response {
        let is_join = request.target.contains("/send_join/");
        let response = self.0.handle_request(request).await;
        if is_join {
            tokio::time::sleep(Duration::from_secs(50)).await;
        }
        response
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_during_a_long_join_is_not_lost() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    world.network.plug(&a.name, Arc::new(FarAway(a.hs.clone())));
    let (via, hs, id, user) = (a.name.clone(), b.hs.clone(), room.clone(), bob.clone());
    let join = tokio::spawn(async move { hs.join(&user, &id, &[via]).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    say(&a.hs, &alice, &room, "welcome").await;
    join.await.unwrap().unwrap();
    world.quiet().await;
    assert_eq!(bodies(&b.hs, &bob, &room).await, ["welcome"]);
}
