//! A time server of the demo's AWS.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;

use super::world::World;
use crate::sources::ntp::timestamp::encode;
use crate::time::Span;

/// Version 4, mode 4.
const SERVER: u8 = 4 << 3 | 4;

/// Starts a server on a port that the kernel chooses.
pub(crate) async fn start(world: Arc<World>) -> std::io::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    tokio::spawn(async move {
        let mut request = [0; 48];
        while let Ok((length, client)) = socket.recv_from(&mut request).await {
            let received = encode(world.now());
            if length == request.len() {
                let reply = reply(&request, received, &world);
                // Whoever asked will ask again.
                let _ = socket.send_to(&reply, client).await;
            }
        }
    });
    Ok(address)
}

/// RFC 5905 §7.3: stratum 1, precision 2^-20 s, root dispersion 15 µs.
fn reply(request: &[u8; 48], received: u64, world: &World) -> Vec<u8> {
    let transmit_of_request = request.iter().skip(40);
    let reference = encode(world.now().plus(Span::from_nanos(-1_000_000_000)));
    let mut reply = vec![SERVER, 1, 0, 0xec];
    reply.extend(0_u32.to_be_bytes());
    reply.extend(1_u32.to_be_bytes());
    reply.extend(b"DEMO");
    reply.extend(reference.to_be_bytes());
    reply.extend(transmit_of_request);
    reply.extend(received.to_be_bytes());
    reply.extend(encode(world.now()).to_be_bytes());
    reply
}
