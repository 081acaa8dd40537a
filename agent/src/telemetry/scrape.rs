//! The page that Prometheus scrapes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::page::Page;
use super::prometheus::Format;
use crate::vitals::Pulse;

/// Where it is.
const PATH: &str = "/metrics";
/// More than this many at once wait: each has a page in memory.
const MOST_CONNECTIONS: usize = 8;
/// Whoever is slower than this is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a port that is taken, or an address that is not there yet, is waited for before it is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Serves the page. A port that cannot be had is told once and tried again: it is no reason to measure nothing.
pub(super) async fn serve(address: SocketAddr, page: Page, pulse: Pulse) {
    let mut is_told = false;
    let listener = loop {
        pulse.expect(AGAIN);
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) if !is_told => {
                is_told = true;
                tracing::warn!(%address, %error, "Prometheus cannot scrape the metrics here yet: trying on");
            }
            Err(_) => {}
        }
        sleep(AGAIN).await;
    };
    tracing::info!(%address, "Prometheus can scrape the metrics at {PATH}");
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        pulse.rest();
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = page.clone();
                tokio::spawn(async move {
                    // Who breaks off or is slow gets no answer.
                    let _ = timeout(PATIENCE, answer(stream, page)).await;
                    drop(place);
                });
            }
            // There are too many open files, which passes.
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn answer(stream: TcpStream, page: Page) -> hyper::Result<()> {
    let service = service_fn(|request| {
        let page = page.clone();
        async move { Ok::<_, Infallible>(response(&request, &page)) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    server.serve_connection(TokioIo::new(stream), service).await
}

fn response(request: &Request<Incoming>, page: &Page) -> Response<Full<Bytes>> {
    let (status, header, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, PATH) => {
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
            let format = Format::wanted(accept);
            (StatusCode::OK, (CONTENT_TYPE, format.media_type()), page.text_as(format))
        }
        (_, PATH) => (StatusCode::METHOD_NOT_ALLOWED, (ALLOW, "GET, HEAD"), String::new()),
        _ => (StatusCode::NOT_FOUND, (CONTENT_TYPE, Format::Text.media_type()), format!("the metrics are at {PATH}\n")),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header.0, HeaderValue::from_static(header.1));
    response
}
