//! A browser without a window, which draws a dashboard with the components of Perses: what is to be read on it, and a picture.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use serde_json::Value;

use crate::net::{Net, Side};
use crate::process::{lab_dir, output, private_dir, tool};

/// How wide it is drawn, in pixels.
pub const WIDTH: u32 = 1280;
/// For how long the page may ask and draw, by its own clock, which waits for what is asked.
const PATIENCE: Duration = Duration::from_secs(15);

/// A dashboard as it was drawn.
pub struct Drawn {
    /// What is to be read, a text a line: all but what is painted, such as the axes.
    pub text: Vec<String>,
    /// The picture, as PNG.
    pub picture: Vec<u8>,
}

impl Drawn {
    /// Whether one of the texts is this.
    pub fn says(&self, text: &str) -> bool {
        self.text.iter().any(|line| line == text)
    }
}

/// Draws a dashboard of Perses over the data of a backend, as high as that many pixels. `chosen` are values of variables.
///
/// # Errors
/// When the browser or the page is missing, or fails.
pub fn draw(net: &Net, dashboard: &Value, backend: &str, chosen: &[(&str, &str)], height: u32) -> Result<Drawn> {
    let dir = private_dir()?;
    let perses = lab_dir()?.join("perses");
    ensure!(perses.join("page.js").exists(), "{} is missing: tests/run installs it", perses.display());
    let (page, picture) = (dir.path().join("page.html"), dir.path().join("picture.png"));
    let setting = format!("window.BACKEND = {}; window.DASHBOARD = {dashboard};", Value::from(backend));
    fs::write(
        &page,
        format!(
            "<!doctype html><meta charset=utf-8><link rel=stylesheet href=\"file://{0}/page.css\"><div id=root></div>\n\
             <script>{setting}</script><script src=\"file://{0}/page.js\"></script>",
            perses.display()
        ),
    )?;
    let (program, libraries) = chromium()?;
    let mut command = net.command(Side::Aws, program)?;
    command.env("HOME", dir.path());
    if !libraries.is_empty() {
        command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
    }
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        // It is to ask nobody but the backend.
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--no-pings", "--disable-breakpad", "--disable-extensions"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("--window-size={WIDTH},{height}"))
        .arg(format!("--virtual-time-budget={}", PATIENCE.as_millis()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg("--dump-dom");
    let choices: Vec<_> = chosen.iter().map(|(name, value)| format!("var-{name}={value}")).collect();
    command.arg(format!("file://{}?{}", page.display(), choices.join("&")));
    let document = output(&mut command)?;
    let picture = fs::read(&picture).context("no picture was taken")?;
    Ok(Drawn { text: texts(&document), picture: packed(&picture).context("the picture is no PNG")? })
}

/// The browser, and where its libraries are: the lab's own, or the machine's.
fn chromium() -> Result<(PathBuf, Vec<PathBuf>)> {
    let root = lab_dir()?.join("chromium/root");
    let program = root.join("usr/lib/chromium/chromium");
    if !program.exists() {
        return Ok((tool("chromium")?, Vec::new()));
    }
    let libraries = root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    Ok((program, vec![libraries.clone(), libraries.join("pulseaudio"), root.join("usr/lib/chromium")]))
}

/// What a document shows, as far as it is text.
fn texts(document: &str) -> Vec<String> {
    let mut rest = document;
    let mut texts = Vec::new();
    while let Some((text, behind)) = rest.split_once('<') {
        texts.push(text);
        let end = ["script", "style"].iter().find(|name| behind.starts_with(**name)).map(|name| format!("</{name}>"));
        let end = end.as_deref().unwrap_or(">");
        rest = behind.split_once(end).map_or("", |(_, behind)| behind);
    }
    let plain = |text: &str| text.trim().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    texts.into_iter().map(plain).filter(|text| !text.is_empty()).collect()
}

/// The same picture in fewer bytes: browsers are in haste.
fn packed(png: &[u8]) -> Option<Vec<u8>> {
    let (head, mut rest) = png.split_at_checked(8)?;
    let (mut packed, mut data) = (head.to_vec(), Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (chunk, behind) = behind.split_at_checked(length.checked_add(8)?)?;
        let (kind, body) = (chunk.get(..4)?, chunk.get(4..length.checked_add(4)?)?);
        match kind {
            b"IDAT" => data.extend_from_slice(body),
            b"IEND" => {
                let mut pixels = Vec::new();
                ZlibDecoder::new(data.as_slice()).read_to_end(&mut pixels).ok()?;
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(&pixels).ok()?;
                put(&mut packed, b"IDAT", &encoder.finish().ok()?)?;
                put(&mut packed, kind, body)?;
                return Some(packed);
            }
            _ => put(&mut packed, kind, body)?,
        }
        rest = behind;
    }
    None
}

fn put(png: &mut Vec<u8>, kind: &[u8], body: &[u8]) -> Option<()> {
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(body);
    png.extend(u32::try_from(body.len()).ok()?.to_be_bytes());
    png.extend(kind.iter().chain(body));
    png.extend(sum.sum().to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_stands_between_the_tags() {
        let document = "<html><style>a { }</style><script>if (a < b) 'no'</script><p>Hosts <b>40</b></p>\n<td>a &lt; b</td></html>";
        assert_eq!(texts(document), ["Hosts", "40", "a < b"]);
    }

    #[test]
    fn a_picture_that_is_packed_is_the_same_picture() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&[7; 5000]).unwrap();
        let loose = encoder.finish().unwrap();
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, body) in
            [(b"IHDR", b"head".as_slice()), (b"IDAT", &loose[..9]), (b"IDAT", &loose[9..]), (b"IEND", b"")]
        {
            put(&mut png, kind, body).unwrap();
        }
        let packed = packed(&png).unwrap();
        assert!(packed.len() < 200 && packed.starts_with(&png[..24]), "{}", packed.len());
        assert_eq!(super::packed(&packed), Some(packed));
        assert_eq!(super::packed(b"no picture"), None);
    }
}
