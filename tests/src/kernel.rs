//! The guest's kernel as its packages unpack it: the image, and the modules that the guest needs in the order in which
//! they have to be loaded.
//!
//! Nothing is assumed of a release. Names and order follow from what each module says that it depends on (`depends=` in
//! its `.modinfo`), because the packages have no `modules.dep`: that is made where a kernel is installed. Which modules
//! depend on which differs from kernel to kernel, and so does where they lie, whether they are compressed, and what is
//! built in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};

use crate::process::tool;

/// A kernel and its modules.
#[derive(Debug)]
pub struct Kernel {
    /// The file that boots.
    pub image: PathBuf,
    release: String,
    modules: BTreeMap<String, PathBuf>,
    built_in: Vec<String>,
}

impl Kernel {
    /// The kernel that is unpacked below `root`; of several the newest.
    ///
    /// # Errors
    /// When there is none with its modules.
    pub fn unpacked(root: &Path) -> Result<Self> {
        let mut found: Vec<(SystemTime, PathBuf, PathBuf)> = Vec::new();
        // Where `/lib` is a link to `/usr/lib`, packages have the latter.
        for folder in ["lib/modules", "usr/lib/modules"].iter().flat_map(|modules| entries(&root.join(modules))) {
            let Some(release) = folder.file_name() else { continue };
            let mut in_boot = std::ffi::OsString::from("vmlinuz-");
            in_boot.push(release);
            let images = [root.join("boot").join(in_boot), folder.join("vmlinuz")];
            let image = images.into_iter().find_map(|image| Some((fs::metadata(&image).ok()?.modified().ok()?, image)));
            found.extend(image.map(|(built, image)| (built, image, folder)));
        }
        let (_, image, folder) = found.into_iter().max().with_context(|| {
            format!(
                "there is no kernel with its modules below {} (boot/vmlinuz-RELEASE or lib/modules/RELEASE/vmlinuz, and \
                 lib/modules/RELEASE): tests/run unpacks one",
                root.display()
            )
        })?;
        let release = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let list = folder.join("modules.builtin");
        let built_in = fs::read_to_string(&list).with_context(|| format!("failed to read {}", list.display()))?;
        let built_in = built_in.lines().filter_map(|line| module_name(Path::new(line))).collect();
        let mut modules = BTreeMap::new();
        collect(&folder, &mut modules);
        Ok(Self { image, release, modules, built_in })
    }

    /// `wanted` and all that they depend on, each after what it depends on; without what is built in. Each has its name
    /// and its content, which is not compressed.
    ///
    /// # Errors
    /// When the kernel lacks one of them, or they depend on one another in a circle.
    pub fn in_order(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut ordered = Vec::new();
        for name in wanted {
            self.load(name, &mut Vec::new(), &mut ordered)?;
        }
        Ok(ordered)
    }

    fn load(&self, name: &str, waiting: &mut Vec<String>, ordered: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
        if ordered.iter().any(|(loaded, _)| loaded == name) || self.built_in.iter().any(|known| known == name) {
            return Ok(());
        }
        ensure!(
            !waiting.iter().any(|above| above == name),
            "the modules of the kernel {} depend on one another in a circle: {}",
            self.release,
            waiting.join(", ")
        );
        let path = self.modules.get(name).with_context(|| {
            let by = waiting.last().map(|above| format!(", on which {above} depends,")).unwrap_or_default();
            format!("the kernel {} has no module {name}{by} neither as a file nor built in", self.release)
        })?;
        let content = unpacked(path)?;
        let depends = depends(&content).with_context(|| format!("{} is no module of a kernel", path.display()))?;
        waiting.push(name.to_owned());
        for dependency in depends {
            self.load(&dependency, waiting, ordered)?;
        }
        waiting.pop();
        ordered.push((name.to_owned(), content));
        Ok(())
    }
}

/// All modules below a folder, by name.
fn collect(folder: &Path, modules: &mut BTreeMap<String, PathBuf>) {
    for path in entries(folder) {
        // `build` and `source` are links out of here.
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, modules);
        } else if let Some(name) = module_name(&path) {
            modules.insert(name, path);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map(|found| found.filter_map(|entry| Some(entry.ok()?.path())).collect()).unwrap_or_default()
}

/// `virtio_rng` for `virtio-rng.ko.xz`: the kernel takes both signs for the same.
fn module_name(path: &Path) -> Option<String> {
    let (name, kind) = path.file_name()?.to_str()?.split_once('.')?;
    matches!(kind, "ko" | "ko.gz" | "ko.xz" | "ko.zst").then(|| name.replace('-', "_"))
}

/// The content of a module. The guest's `insmod` does not know every compression, so that none is left to it.
fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => "gzip",
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("failed to read {}", path.display())),
    };
    let told = Command::new(tool(program)?).arg("-dc").arg(path).output()?;
    ensure!(told.status.success(), "{program}: {}", String::from_utf8_lossy(&told.stderr));
    Ok(told.stdout)
}

/// What a module says that it depends on.
fn depends(module: &[u8]) -> Result<Vec<String>> {
    let modinfo = section(module, b".modinfo").context("it has no section .modinfo")?;
    let told = modinfo.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"depends="));
    let Some(told) = told else { bail!("it does not say what it depends on") };
    let names = std::str::from_utf8(told).context("the names that it depends on are no text")?;
    Ok(names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect())
}

/// A section of an ELF file of 64 bits, least significant byte first (ELF-64 Object File Format, version 1.5).
fn section<'a>(elf: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let number = |at: usize, bytes: usize| {
        let field = elf.get(at..at.checked_add(bytes)?)?;
        usize::try_from(field.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))).ok()
    };
    elf.strip_prefix(b"\x7fELF\x02\x01")?;
    let (table, size, count, of_names) = (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?, number(0x3e, 2)?);
    let header = |index: usize| table.checked_add(index.checked_mul(size)?);
    let content = |header: usize| {
        let from = number(header.checked_add(0x18)?, 8)?;
        elf.get(from..from.checked_add(number(header.checked_add(0x20)?, 8)?)?)
    };
    let names = content(header(of_names)?)?;
    (0..count).filter_map(header).find_map(|header| {
        let own = names.get(number(header, 4)?..)?.split(|byte| *byte == 0).next()?;
        if own == name { content(header) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::process::private_dir;

    const RELEASE: &str = "9.8.7-cloud";

    /// A module that says no more than what it depends on.
    fn module(depends: &str) -> Vec<u8> {
        const NAMES: &[u8] = b"\0.modinfo\0.shstrtab\0";
        let modinfo = [b"license=GPL\0depends=", depends.as_bytes(), b"\0retpoline=Y\0"].concat();
        let section = |name: u32, from: usize, size: usize| {
            let mut header = vec![0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&(from as u64).to_le_bytes());
            header[0x20..0x28].copy_from_slice(&(size as u64).to_le_bytes());
            header
        };
        let (names_at, table_at) = (64 + modinfo.len(), 64 + modinfo.len() + NAMES.len());
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[0x28..0x30].copy_from_slice(&(table_at as u64).to_le_bytes());
        for (at, value) in [(0x3a, 64_u16), (0x3c, 3), (0x3e, 2)] {
            elf[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        let table = [section(0, 0, 0), section(1, 64, modinfo.len()), section(10, names_at, NAMES.len())].concat();
        [elf, modinfo, NAMES.to_vec(), table].concat()
    }

    /// A kernel of these modules, each with what it depends on, unpacked below a folder of its own.
    fn kernel(modules: &[(&str, &str)], built_in: &[&str]) -> TempDir {
        let root = private_dir().unwrap();
        let folder = root.path().join("usr/lib/modules").join(RELEASE);
        fs::create_dir_all(folder.join("kernel/drivers")).unwrap();
        fs::write(folder.join("vmlinuz"), "").unwrap();
        let list: String = built_in.iter().map(|name| format!("kernel/drivers/{name}.ko\n")).collect();
        fs::write(folder.join("modules.builtin"), list).unwrap();
        for (name, depends) in modules {
            fs::write(folder.join(format!("kernel/drivers/{name}.ko")), module(depends)).unwrap();
        }
        root
    }

    fn order(root: &Path, wanted: &[&str]) -> Result<Vec<String>> {
        Ok(Kernel::unpacked(root)?.in_order(wanted)?.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn modules_are_loaded_in_the_order_that_the_kernel_at_hand_demands() {
        // In one kernel the ring needs the bus, in the next the bus needs the ring.
        for (bus, ring, expected) in [
            ("", "virtio", ["virtio", "virtio_ring", "virtio_pci", "virtio_net"]),
            ("virtio_ring", "", ["virtio_ring", "virtio", "virtio_pci", "virtio_net"]),
        ] {
            let root = kernel(
                &[
                    ("virtio", bus),
                    ("virtio_ring", ring),
                    ("virtio_pci", "virtio,virtio_ring"),
                    ("virtio_net", "virtio_ring,virtio"),
                    ("virtio_blk", "virtio"),
                ],
                &[],
            );
            assert_eq!(order(root.path(), &["virtio_pci", "virtio_net"]).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_built_in_is_not_loaded_and_what_is_missing_is_named() {
        let root = kernel(&[("virtio_net", "net-failover"), ("net_failover", "failover")], &["virtio-pci"]);
        let error = order(root.path(), &["virtio_pci", "virtio_net"]).unwrap_err().to_string();
        assert!(error.contains("9.8.7-cloud has no module failover, on which net_failover depends"), "{error}");
        let root = kernel(&[("virtio_net", "net-failover"), ("net_failover", "")], &["virtio-pci"]);
        assert_eq!(order(root.path(), &["virtio_pci", "virtio_net"]).unwrap(), ["net_failover", "virtio_net"]);
        let circle = kernel(&[("a", "b"), ("b", "a")], &[]);
        let error = order(circle.path(), &["a"]).unwrap_err().to_string();
        assert!(error.contains("in a circle: a, b"), "{error}");
    }

    #[test]
    fn a_kernel_is_found_wherever_its_release_puts_it_with_its_own_modules() {
        let root = kernel(&[("a", "")], &[]);
        assert!(Kernel::unpacked(root.path()).unwrap().image.ends_with("usr/lib/modules/9.8.7-cloud/vmlinuz"));
        // Another, in the older places, whose image is of a later time.
        let other = root.path().join("lib/modules/9.9.0");
        fs::create_dir_all(&other).unwrap();
        fs::create_dir_all(root.path().join("boot")).unwrap();
        fs::write(other.join("modules.builtin"), "").unwrap();
        fs::write(other.join("b.ko"), module("")).unwrap();
        assert!(order(root.path(), &["b"]).is_err(), "modules without an image are no kernel");
        let image = fs::File::create(root.path().join("boot/vmlinuz-9.9.0")).unwrap();
        image.set_modified(SystemTime::now() + std::time::Duration::from_secs(60)).unwrap();
        assert!(Kernel::unpacked(root.path()).unwrap().image.ends_with("boot/vmlinuz-9.9.0"));
        assert_eq!(order(root.path(), &["b"]).unwrap(), ["b"]);
        assert!(order(root.path(), &["a"]).is_err(), "that is a module of the other kernel");
        let none = private_dir().unwrap();
        assert!(Kernel::unpacked(none.path()).unwrap_err().to_string().contains("there is no kernel"));
    }

    #[test]
    fn a_compressed_module_is_unpacked() {
        for (program, suffix) in [("gzip", "gz"), ("xz", "xz")] {
            let root = kernel(&[("a", "b"), ("b", "")], &[]);
            let file = root.path().join("usr/lib/modules").join(RELEASE).join("kernel/drivers/a.ko");
            assert!(Command::new(program).arg(&file).status().unwrap().success());
            assert!(file.with_extension(format!("ko.{suffix}")).exists());
            let modules = Kernel::unpacked(root.path()).unwrap().in_order(&["a"]).unwrap();
            assert_eq!(modules.last().unwrap(), &("a".to_owned(), module("b")));
        }
    }

    proptest! {
        #[test]
        fn every_module_comes_after_what_it_depends_on(
            edges in proptest::collection::vec((0..8_usize, 0..8_usize), 0..20),
            names in Just(["a", "b", "c", "d", "e", "f", "g", "h"]).prop_shuffle(),
        ) {
            // Only from a later to an earlier one of a random order, so that there is no circle.
            let depends = |of: usize| -> Vec<&str> {
                edges.iter().filter(|(from, to)| *from == of && to < from).map(|(_, to)| names[*to]).collect()
            };
            let modules: Vec<_> = (0..8).map(|of| (names[of], depends(of).join(","))).collect();
            let modules: Vec<_> = modules.iter().map(|(name, depends)| (*name, depends.as_str())).collect();
            let root = kernel(&modules, &[]);
            let order = order(root.path(), &["a", "b", "c", "d", "e", "f", "g", "h"]).unwrap();
            prop_assert_eq!(order.len(), 8);
            let place = |wanted: &str| order.iter().position(|name| name == wanted).unwrap();
            for (of, name) in names.iter().enumerate() {
                for dependency in depends(of) {
                    prop_assert!(place(dependency) < place(name), "{:?}", order);
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8)) {
            let mut damaged = module("virtio");
            for (at, byte) in damage {
                let length = damaged.len();
                damaged[at % length] = byte;
            }
            for elf in [bytes, damaged] {
                let _ = depends(&elf);
            }
        }
    }
}
