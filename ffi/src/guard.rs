//! Panics stop here: none crosses into another language.

use roomlet_homeserver::{Code, Error, Result};
use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// Runs `body`; a panic becomes [`Code::Panic`] with the panic's message.
///
/// What `body` was changing when it panicked may be half changed: the caller has to stop using it.
pub(crate) fn catch<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| Err(panicked(payload.as_ref())))
}

/// [`catch`] for each poll of a future. What the future itself gives is inside, also an error of [`Code::Panic`]: that is
/// of a panic which the core has stopped, and undone.
pub(crate) async fn catch_async<T>(future: impl Future<Output = T>) -> Result<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context).map(Ok)))
            .unwrap_or_else(|payload| Poll::Ready(Err(panicked(payload.as_ref()))))
    })
    .await
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(Code::Panic, format!("a bug in roomlet: panic: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_becomes_an_error_with_its_message() {
        let error = catch::<()>(|| panic!("at {}", "sea")).unwrap_err();
        assert_eq!(error.code(), Code::Panic);
        assert_eq!(error.about(), "a bug in roomlet: panic: at sea");
    }

    #[tokio::test]
    async fn panic_after_an_await_becomes_an_error() {
        let error = catch_async::<()>(async {
            tokio::task::yield_now().await;
            panic!("late")
        })
        .await
        .unwrap_err();
        assert_eq!(error.code(), Code::Panic);
        assert_eq!(error.about(), "a bug in roomlet: panic: late");
    }
}
