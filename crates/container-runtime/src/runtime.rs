//! The interface between the kubelet and whatever runs containers.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::{
    ContainerConfig, ContainerStats, ContainerStatus, ExecConfig, ExecOutput, ExecSession, FsUsage,
    ImageInfo, ProgressSink, RegistryAuth, Resources, Result, RuntimeEvent, TerminalSize, Version, Writer,
};

/// Events, beginning with [`RuntimeEvent::Resync`]. It never ends while the runtime exists.
pub type EventStream = BoxStream<'static, RuntimeEvent>;

/// Runs containers.
///
/// Calls may be made side by side and do not wait for each other, save for those about the same container. Every
/// call has a time limit of its own, after which it fails with [`crate::Error::Deadline`]; the caller may also drop
/// it at any point and find out by [`Runtime::list_containers`] how far it came.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// The runtime's name and version; also tells whether it can be reached.
    async fn version(&self) -> Result<Version>;

    /// All containers of this node in whatever state. Everything else can be rebuilt from it.
    async fn list_containers(&self) -> Result<Vec<ContainerStatus>>;

    /// One container.
    async fn container_status(&self, id: &str) -> Result<ContainerStatus>;

    /// Creates a container of an image that is on the node. What was made is removed again when it fails.
    async fn create_container(&self, config: ContainerConfig) -> Result<()>;

    /// Starts a container that was created by this very value, once; answers with what it is now, without asking for
    /// it again. One whose process has ended meanwhile may still be shown as running: its exit is told.
    ///
    /// What came of a start that failed or was cut off may show later only. A container that is still
    /// [`crate::ContainerState::Created`] then has never run, and is to be given up.
    async fn start_container(&self, id: &str) -> Result<ContainerStatus>;

    /// Gives up a container that was created and is not to run, or whose start failed or was cut off by the end of
    /// its caller. Goes on in the background: whatever comes of the start is ended and not told, and the container
    /// is removed when nothing can come of it any more. Its id must not be used again.
    fn abandon_container(&self, id: &str);

    /// Sends a signal to the container's first process, or to all of them. That the process has ended already is
    /// no error; that the container does not exist is.
    async fn kill(&self, id: &str, signal: i32, all: bool) -> Result<()>;

    /// Removes a container and all that belongs to it, save its log; a running one is killed. Removing one that
    /// does not exist is no error.
    async fn remove_container(&self, id: &str) -> Result<()>;

    /// Changes the limits of a running container; what is absent stays.
    async fn update_resources(&self, id: &str, resources: &Resources) -> Result<()>;

    /// Starts a further process in a running container.
    async fn exec(&self, id: &str, config: ExecConfig) -> Result<ExecSession>;

    /// Runs a short process in a running container and keeps at most `limit` bytes of each of its streams. After
    /// `timeout` the process is killed and the call fails with [`crate::Error::Deadline`].
    async fn exec_sync(
        &self,
        id: &str,
        argv: &[String],
        timeout: Duration,
        limit: usize,
    ) -> Result<ExecOutput>;

    /// Opens the standard input of a container that was created with `stdin`.
    async fn open_stdin(&self, id: &str) -> Result<Writer>;

    /// Changes the size of the terminal of a running container that has one.
    async fn resize_terminal(&self, id: &str, size: TerminalSize) -> Result<()>;

    /// What a running container uses.
    async fn stats(&self, id: &str) -> Result<ContainerStats>;

    /// What happens to containers from now on.
    fn events(&self) -> EventStream;

    /// Fetches and unpacks an image, whether or not it is on the node already. Callers that ask for the same image
    /// with the same credentials share one pull.
    async fn pull_image(
        &self,
        reference: &str,
        auth: Option<RegistryAuth>,
        progress: Option<ProgressSink>,
    ) -> Result<ImageInfo>;

    /// The image of that name or id, if it is on the node.
    async fn image_status(&self, reference: &str) -> Result<Option<ImageInfo>>;

    /// Like [`Runtime::image_status`], but without the image's names: as cheap as a lookup can be.
    async fn find_image(&self, reference: &str) -> Result<Option<ImageInfo>>;

    /// All images on the node, one entry for each id.
    async fn list_images(&self) -> Result<Vec<ImageInfo>>;

    /// Removes one name of an image, or by id the image with all its names. Removing what does not exist is no
    /// error. Running containers keep what they need.
    async fn remove_image(&self, reference: &str) -> Result<()>;

    /// How full the file system is that images and containers lie on.
    async fn fs_usage(&self) -> Result<FsUsage>;
}

/// A subscriber's view of the events: it begins with a resync, and so does what follows a gap.
pub(crate) fn stream(events: broadcast::Receiver<RuntimeEvent>) -> EventStream {
    let live = BroadcastStream::new(events).map(|event| event.unwrap_or(RuntimeEvent::Resync));
    futures::stream::iter([RuntimeEvent::Resync]).chain(live).boxed()
}
