//! Sandboxes: creation, listing, repair and removal.

use std::{collections::BTreeMap, fs};

use gantry_pod_network::{Error, SandboxSpec, Sandboxes};
use nix::sched::{CloneFlags, setns};

use crate::support::{inside, isolated, run, wait};

fn full() -> SandboxSpec {
    SandboxSpec {
        network: true,
        ipc: true,
        hostname: Some("web-0".to_owned()),
        sysctls: BTreeMap::from([("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())]),
    }
}

#[test]
fn a_sandbox_has_its_own_namespaces_and_survives_its_maker() {
    isolated(|dir| {
        let root = dir.join("sandboxes");
        let made = wait(Sandboxes::new(&root).unwrap().create("pod-1", &full())).unwrap();
        // A successor, as after kill -9, finds it by its directory alone.
        let later = Sandboxes::new(&root).unwrap();
        assert_eq!(later.list().unwrap(), ["pod-1"]);
        let found = later.open("pod-1").unwrap().unwrap();
        assert_eq!(found, made);
        inside(&found.network().unwrap(), || {
            assert!(run("ip -brief link show lo").contains("UP"));
            let port = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
            assert_eq!(port.trim(), "0");
        });
        let uts = fs::File::open(found.uts().unwrap()).unwrap();
        let name = std::thread::spawn(move || {
            setns(uts, CloneFlags::CLONE_NEWUTS).unwrap();
            nix::unistd::gethostname().unwrap()
        });
        assert_eq!(name.join().unwrap(), "web-0");
        assert_ne!(nix::unistd::gethostname().unwrap(), "web-0");
        wait(later.destroy("pod-1")).unwrap();
        wait(later.destroy("pod-1")).unwrap();
        assert!(later.list().unwrap().is_empty());
        assert!(later.open("pod-1").unwrap().is_none());
        assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains("pod-1"));
    });
}

#[test]
fn creation_is_idempotent_and_repairs_what_a_reboot_left() {
    isolated(|dir| {
        let root = dir.join("sandboxes");
        let sandboxes = Sandboxes::new(&root).unwrap();
        let first = wait(sandboxes.create("pod-1", &full())).unwrap();
        let inode = |path: std::path::PathBuf| {
            use std::os::unix::fs::MetadataExt as _;
            fs::metadata(path).unwrap().ino()
        };
        let before = inode(first.network().unwrap());
        let again = wait(sandboxes.create("pod-1", &full())).unwrap();
        assert_eq!(inode(again.network().unwrap()), before);

        // Plain files where namespaces were pinned: not intact, and made anew.
        run(&format!("umount {}", first.network().unwrap().display()));
        assert!(sandboxes.open("pod-1").unwrap().is_none());
        wait(sandboxes.create("pod-1", &full())).unwrap();
        assert!(sandboxes.open("pod-1").unwrap().is_some());

        // Half-built remains are removed at the next start.
        fs::create_dir(root.join(".new-pod-2")).unwrap();
        Sandboxes::new(&root).unwrap();
        assert!(!root.join(".new-pod-2").exists());
    });
}

#[test]
fn host_network_pods_get_only_what_they_ask_for() {
    isolated(|dir| {
        let sandboxes = Sandboxes::new(dir.join("sandboxes")).unwrap();
        let spec = SandboxSpec { ipc: true, ..SandboxSpec::default() };
        let sandbox = wait(sandboxes.create("host", &spec)).unwrap();
        assert!(sandbox.network().is_none() && sandbox.uts().is_none() && sandbox.ipc().is_some());
        let bare = wait(sandboxes.create("bare", &SandboxSpec::default())).unwrap();
        assert!(bare.ipc().is_none());
        assert!(sandboxes.open("bare").unwrap().is_some());
    });
}

#[test]
fn bad_input_is_refused_and_leaves_nothing() {
    isolated(|dir| {
        let sandboxes = Sandboxes::new(dir.join("sandboxes")).unwrap();
        for id in ["", ".", "..", "a/b", ".new-x", "a b"] {
            assert!(matches!(wait(sandboxes.create(id, &full())), Err(Error::InvalidId(_))), "{id:?}");
        }
        let mut spec = full();
        spec.sysctls.insert("net.ipv4.no_such_thing".to_owned(), "1".to_owned());
        let refused = wait(sandboxes.create("pod-1", &spec)).unwrap_err();
        assert!(matches!(refused, Error::Sysctl { .. }), "{refused}");
        assert!(sandboxes.list().unwrap().is_empty());
        assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(".new-"));
    });
}
