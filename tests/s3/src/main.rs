//! An S3 server that verifies signatures and refuses a request whose time is too far from its own: s3s, which can be told
//! how far that is, with s3s-fs for the objects.
//!
//! Arguments: the address to listen on, the folder of the buckets, and the greatest skew in seconds. The one pair of keys
//! that it knows is in the usual variables.

use std::env;
use std::error::Error;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, root, skew] = arguments.as_slice() else { return Err("usage: lab-s3 ADDRESS ROOT SKEW".into()) };
    let mut config = S3Config::default();
    // It is named for pre-signed URLs, and judges signed headers as well.
    config.presigned_url_max_skew_time_secs = skew.parse()?;
    let files = FileSystem::new(root).map_err(|error| format!("{root}: {error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    service.set_auth(SimpleAuth::from_single(env::var("AWS_ACCESS_KEY_ID")?, env::var("AWS_SECRET_ACCESS_KEY")?));
    let service = service.build();
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            // A client that leaves midway is its own affair.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
