//! STUB
use std::path::Path;

use futures_util::future::BoxFuture;

use super::{Compare, Op, Range, Store, StoreError, TxnResult, Watch};

/// A store in a file.
pub struct RedbStore;

impl RedbStore {
    /// Opens or makes the file.
    pub async fn open(_path: &Path) -> Result<Self, StoreError> {
        unimplemented!()
    }
}

impl Store for RedbStore {
    fn range(&self, _: &str, _: Option<u64>) -> BoxFuture<'_, Result<Range, StoreError>> {
        unimplemented!()
    }
    fn txn(&self, _: Vec<Compare>, _: Vec<Op>) -> BoxFuture<'_, Result<TxnResult, StoreError>> {
        unimplemented!()
    }
    fn watch(&self, _: &str, _: u64) -> BoxFuture<'_, Result<Watch, StoreError>> {
        unimplemented!()
    }
}
