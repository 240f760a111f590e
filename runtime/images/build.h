#pragma once
// Image builds: buildah runs the Dockerfile, the result becomes an image of our store.
//
// buildah keeps its own storage below <root> (overlay driver, chroot isolation), apart from any
// other container tool of the machine. Images that `FROM` or `COPY --from` name are taken from our
// store, pulled into it when they are missing, and handed to buildah as OCI layouts; their packed
// form is remembered, so the built image shares their layers with the base in our store instead of
// storing them twice.
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/executors.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "runtime/images/image.h"
#include "runtime/images/store.h"

namespace moth::images {

struct BuildRequest {
  std::string context;     // absolute directory
  std::string dockerfile;  // absolute, or relative to the context; empty: Dockerfile, Containerfile
  std::vector<std::string> tags;  // at least one
  std::vector<std::pair<std::string, std::string>> build_args;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string target;
  bool no_cache = false;
  bool pull = false;  // ask the registry even for images that are here
  std::vector<std::pair<std::string, std::string>> secrets;  // id, file
  std::vector<std::pair<std::string, std::string>> volumes;  // host directory, path[:ro]
};

// Receives each line that the build prints.
using LineSink = std::function<void(std::string_view line)>;
// Makes sure that an image is in the store.
using EnsureBase = std::function<Task<Result<ImagePtr>>(std::string reference, bool always)>;

// Images that a Dockerfile starts from or copies from, in order, each once; `scratch` and names of
// earlier stages are left out, ARGs before the first FROM are filled in. Errors name the line.
Result<std::vector<std::string>> base_images(
    std::string_view dockerfile, const std::vector<std::pair<std::string, std::string>>& build_args,
    const std::string& target = "");

class Builder {
 public:
  // `root` is <data dir>/build. All methods on `home`.
  Builder(Store& store, std::string root, asio::any_io_executor home,
          asio::any_io_executor blocking);
  ~Builder();

  // One build at a time; others wait. Errors: buildah missing (with the remedy), the Dockerfile
  // missing, or the last lines that buildah printed. Cancelling the caller ends buildah.
  Task<Result<ImagePtr>> build(BuildRequest request, LineSink lines, EnsureBase ensure);
  // Deletes buildah's storage with its caches.
  Task<Result<void>> clear_cache();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth::images
