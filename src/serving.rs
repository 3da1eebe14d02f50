//! Answers HTTP on a port: the API, supervisors' questions, gauges.
//!
//! A client that is slow to say what it wants does not keep its connection: axum's own server has no such limit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long the head of a request may take to arrive, from when the connection is open or the answer before it was sent. It
/// is also how long a connection may lie idle, so it is longer than the minute for which proxies keep theirs: a proxy
/// would send a request on a connection that is just being closed.
pub const HEAD_WITHIN: Duration = Duration::from_secs(75);

/// Answers requests until `stop`, then ends those that are under way. Handlers find the client's address as
/// [`ConnectInfo`]. A head that is not there within `head_within` closes its connection without an answer.
///
/// # Errors
/// If the listener is none that can be asked for its address; a connection that fails is no fault of others.
pub async fn serve(
    mut listener: TcpListener,
    app: Router,
    head_within: Duration,
    stop: CancellationToken,
) -> io::Result<()> {
    listener.local_addr()?;
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(head_within);
    let open = GracefulShutdown::new();
    loop {
        let (stream, client) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = stop.cancelled() => break,
        };
        let connection = protocol.serve_connection(TokioIo::new(stream), service_fn(answered(app.clone(), client)));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%client, %error, "a connection ended early");
            }
        });
    }
    // Nobody waits for a place behind those that are being answered.
    drop(listener);
    open.shutdown().await;
    Ok(())
}

/// The application as one connection sees it.
fn answered(
    app: Router,
    client: SocketAddr,
) -> impl Fn(Request<Incoming>) -> <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future {
    let app = TowerToHyperService::new(app);
    move |mut request| {
        request.extensions_mut().insert(ConnectInfo(client));
        app.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    /// A server, and what ends it.
    async fn started(app: Router) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        (address, stop.clone(), tokio::spawn(serve(listener, app, LIMIT, stop)))
    }

    fn app() -> Router {
        Router::new().route("/", get(async |ConnectInfo(from): ConnectInfo<SocketAddr>| from.to_string()))
    }

    #[tokio::test]
    async fn a_client_that_sends_a_byte_now_and_then_loses_its_connection() {
        let (address, _stop, _server) = started(app()).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        let begun = Instant::now();
        // Each byte comes well within the limit: only their sum is too slow.
        let dripped = async {
            for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'a')) {
                if slow.write_all(&[*byte]).await.is_err() {
                    break;
                }
                let mut answer = [0];
                let read = tokio::time::timeout(LIMIT / 10, slow.read(&mut answer)).await;
                if read.is_ok_and(|read| read.is_err() || read.is_ok_and(|bytes| bytes == 0)) {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), dripped).await.expect("it is let go");
        assert!(begun.elapsed() >= LIMIT, "after {:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_loses_its_connection_too() {
        let (address, _stop, _server) = started(app()).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(30), silent.read(&mut [0])).await;
        assert_eq!(closed.expect("it is let go").unwrap_or_default(), 0);
    }

    #[tokio::test]
    async fn a_connection_carries_several_requests_and_handlers_know_the_client() {
        let (address, _stop, _server) = started(app()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let own = stream.local_addr().unwrap().to_string();
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            while !answer.ends_with(&own) {
                let mut some = [0; 512];
                let read = stream.read(&mut some).await.unwrap();
                assert_ne!(read, 0, "{answer}");
                answer.push_str(std::str::from_utf8(&some[..read]).unwrap());
            }
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }

    #[tokio::test]
    async fn what_is_under_way_is_answered_at_the_end() {
        let begun = std::sync::Arc::new(tokio::sync::Notify::new());
        let (seen, go) = (begun.clone(), std::sync::Arc::new(tokio::sync::Notify::new()));
        let gone = go.clone();
        let app = Router::new().route(
            "/",
            get(move || async move {
                seen.notify_one();
                gone.notified().await;
                "done"
            }),
        );
        let (address, stop, server) = started(app).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        begun.notified().await;
        stop.cancel();
        go.notify_one();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nobody is let in any more");
    }
}
