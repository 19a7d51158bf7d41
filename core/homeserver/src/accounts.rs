//! Local users.

use crate::inner::Inner;
use roomlet_store::Write;
use roomlet_wire::{Code, Error, Result, UserId};

impl Inner {
    pub(crate) async fn create_account(&self, localpart: &str) -> Result<UserId> {
        self.check_open()?;
        let user = UserId::parse(&format!("@{localpart}:{}", self.me))?;
        if !user.is_compliant() || user.localpart() != localpart {
            let about = format!("user id {user}: a new localpart is 1 or more of `a-z0-9._=-/+`");
            return Err(Error::new(Code::BadId, about));
        }
        if self.store.has_account(&user)? {
            return Err(Error::new(
                Code::Exists,
                format!("user {user} is an account already"),
            ));
        }
        self.commit(vec![Write::Account(user.clone())]).await?;
        Ok(user)
    }
}
