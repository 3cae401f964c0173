//! Time limits. The clock is tokio's, which stands still while anything can be done.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::{Instant, sleep};
use uwsgi_http::client::{ClientError, Exchange, Timeouts, Wait};

use crate::server::{Server, connect, get};

const HOUR: Duration = Duration::from_secs(3600);

fn exchange(timeouts: Timeouts) -> Exchange {
    Exchange::new(get(), Method::POST).with_timeouts(timeouts)
}

fn waited_for(error: &ClientError) -> Option<Wait> {
    match error {
        ClientError::Timeout { wait, .. } => Some(*wait),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn head_has_to_come_in_time_to_its_end() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    let start = Instant::now();
    let writing = tokio::spawn(async move {
        for byte in b"HTTP/1.1 200 OK".iter().cycle() {
            sleep(Duration::from_secs(1)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut accepted.0, &[*byte])
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let timeouts = Timeouts::new().with_head(Duration::from_millis(10_500));
    let error = exchange(timeouts).send(stream, Empty::<Bytes>::new()).await;
    let error = error.unwrap_err();
    assert_eq!(waited_for(&error), Some(Wait::Head));
    assert_eq!(
        error.to_string(),
        "the head of the reply took longer than 10.5s"
    );
    assert_eq!(error.http_status(), 504);
    assert_eq!(start.elapsed().as_secs(), 10);
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn time_for_the_body_begins_anew_with_each_part() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    let writing = tokio::spawn(async move {
        accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
        for _ in 0..5 {
            sleep(Duration::from_secs(8)).await;
            accepted.write(b"tick").await;
        }
        sleep(HOUR).await;
    });
    let timeouts = Timeouts::new().with_read(Duration::from_secs(10));
    let reply = exchange(timeouts).send(stream, Empty::<Bytes>::new()).await;
    let mut body = reply.unwrap().body;
    for _ in 0..5 {
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "tick"
        );
    }
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(waited_for(&error), Some(Wait::Read));
    assert_eq!(
        error.to_string(),
        "the next part of the reply took longer than 10 s"
    );
    writing.abort();
}

#[tokio::test(start_paused = true)]
async fn reader_who_takes_his_time_causes_no_timeout() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    accepted.write(b"HTTP/1.1 200 OK\r\n\r\n1").await;
    let reply = exchange(Timeouts::new())
        .send(stream, Empty::<Bytes>::new())
        .await;
    let mut body = reply.unwrap().body;
    body.frame().await.unwrap().unwrap();
    sleep(HOUR).await;
    accepted.write(b"2").await;
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "2"
    );
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_read_is_a_timeout() {
    let server = Server::new();
    let (stream, accepted) = connect(&server).await;
    let body = Full::new(Bytes::from(vec![b'x'; 8 << 20]));
    let timeouts = Timeouts::new().with_write(Duration::from_secs(5));
    let error = exchange(timeouts).send(stream, body).await.unwrap_err();
    assert_eq!(waited_for(&error), Some(Wait::Write));
    drop(accepted);
}

/// It may want to answer first.
#[tokio::test(start_paused = true)]
async fn server_that_answers_and_does_not_read_has_the_time_for_its_reply() {
    for (read, comes) in [(Duration::MAX, true), (Duration::from_secs(10), false)] {
        let server = Server::new();
        let (stream, mut accepted) = connect(&server).await;
        accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let upload = Full::new(Bytes::from(vec![b'x'; 8 << 20]));
        let timeouts = Timeouts::new()
            .with_write(Duration::from_secs(5))
            .with_read(read);
        let reply = exchange(timeouts).send(stream, upload).await;
        let mut body = reply.unwrap().body;
        let writing = tokio::spawn(async move {
            sleep(HOUR).await;
            // The client may have left.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut accepted.0, b"late").await;
            accepted
        });
        match body.frame().await.unwrap() {
            Ok(frame) => assert!(comes && frame.into_data().unwrap() == "late"),
            Err(error) => {
                assert!(!comes, "{error}");
                assert_eq!(waited_for(&error), Some(Wait::Read));
            }
        }
        writing.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn interim_heads_give_no_time() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    let writing = tokio::spawn(async move {
        loop {
            sleep(Duration::from_secs(8)).await;
            let head = b"HTTP/1.1 102 Processing\r\n\r\n";
            let stream = &mut accepted.0;
            if tokio::io::AsyncWriteExt::write_all(stream, head)
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let start = Instant::now();
    let timeouts = Timeouts::new().with_head(Duration::from_secs(20));
    let error = exchange(timeouts).send(stream, Empty::<Bytes>::new()).await;
    assert_eq!(waited_for(&error.unwrap_err()), Some(Wait::Head));
    assert_eq!(start.elapsed().as_secs(), 20);
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn body_whose_source_takes_its_time_causes_no_timeout() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    let (mut parts, body) = Channel::<Bytes, Infallible>::new(1);
    let source = tokio::spawn(async move {
        for _ in 0..3 {
            sleep(HOUR).await;
            parts.send_data("part".into()).await.unwrap();
        }
    });
    let (reply, ()) = tokio::join!(exchange(Timeouts::new()).send(stream, body), async {
        accepted.packet().await;
        assert_eq!(accepted.read(12).await, b"partpartpart");
        accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
    });
    assert_eq!(reply.unwrap().head.status(), 200);
    source.await.unwrap();
}
