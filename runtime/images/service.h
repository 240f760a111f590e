#pragma once
// ImageService: everything that the daemon does with images. Lives on the control executor: all
// methods are called there and come back there. Owns the store below <data dir>/images, the
// snapshots below <data dir>/snapshots and buildah's storage below <data dir>/build.
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "runtime/images/archive.h"
#include "runtime/images/build.h"
#include "runtime/images/bytes.h"
#include "runtime/images/credentials.h"
#include "runtime/images/gc.h"
#include "runtime/images/image.h"
#include "runtime/images/overlay.h"
#include "runtime/images/registry.h"
#include "runtime/images/store.h"

namespace moth::images {

enum class PullPolicy { kAlways, kIfNotPresent, kNever };

// Why ensure() failed, as a container's waiting reason.
inline constexpr std::string_view kErrImagePull = "ErrImagePull";
inline constexpr std::string_view kErrImageNeverPull = "ErrImageNeverPull";
inline constexpr std::string_view kInvalidImageName = "InvalidImageName";
// Reads the reason out of an error of ensure(); ErrImagePull when it has none.
std::string_view waiting_reason(const Error& error);

struct LayerProgress {
  std::string digest;
  std::uint64_t done = 0;  // compressed bytes
  std::uint64_t total = 0;
  enum class Phase { kWaiting, kDownloading, kUnpacked, kPresent } phase = Phase::kWaiting;
};
// Called on control, at most about ten times a second and at every change of phase.
using PullProgress = std::function<void(const LayerProgress&)>;

struct Ensured {
  ImagePtr image;
  bool pulled = false;      // false: it was present
  Duration pull_time{};     // the transfer alone
  Duration waiting_time{};  // with the wait for other pulls
};

struct ImageServiceOptions {
  std::string data_dir;
  RegistryOptions registry;
  int parallel_layers = 3;  // downloads at once, over all images
  int parallel_images = 4;
  GcPolicy gc;
  Platform platform;
};

class ImageService {
 public:
  // Opens the store (reads the disk: at start, before control runs, or on control then).
  static Result<std::unique_ptr<ImageService>> open(ImageServiceOptions options,
                                                    Executors& executors,
                                                    std::shared_ptr<Clock> clock);
  ~ImageService();

  // Makes the image available under `policy`. Concurrent calls for one image share the work.
  // `secrets` are the pod's imagePullSecrets; the host's own credentials are added.
  Task<Result<Ensured>> ensure(std::string reference, PullPolicy policy, Keyring secrets = {},
                               PullProgress progress = {});

  std::vector<ImagePtr> list() const;
  ImagePtr find(std::string_view reference_or_id) const;
  Task<Result<ImagePtr>> tag(std::string reference_or_id, std::string new_name);
  // Conflict when containers use it and `force` is not set.
  Task<Result<Removed>> remove(std::string reference_or_id, bool force = false);
  // Unused images: those without a name, or all.
  Task<Result<Removed>> prune(bool all);

  // `input` is read on a thread of its own, so it may be a BytePipe's reader.
  Task<Result<std::vector<Loaded>>> load(std::unique_ptr<ByteSource> input, LoadOptions options);
  Task<Result<void>> save(std::vector<std::string> references, ArchiveFormat format,
                          std::string path);
  Task<Result<ImagePtr>> build(BuildRequest request, LineSink lines);

  // Root file systems. A prepared one keeps its image from being removed.
  Task<Result<Snapshot>> prepare_rootfs(std::string id, ImagePtr image,
                                        std::vector<std::string> extra_layers = {},
                                        bool read_only = false);
  Task<Result<void>> remove_rootfs(std::string id);
  Task<Result<std::vector<Snapshot>>> list_rootfs();
  const Snapshots& snapshots() const;

  // Images that containers use, by id, told by the agent whenever that changes.
  void set_in_use(std::set<std::string> image_ids);
  // One round of garbage collection; the plan that was carried out. `force` frees all unused images
  // (disk pressure).
  Task<Result<GcPlan>> collect_garbage(bool force = false);

  // Cancels pulls. To be awaited before the service is destroyed; builds end with their callers.
  Task<void> stop();

 private:
  struct State;
  explicit ImageService(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace moth::images
