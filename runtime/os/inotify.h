#pragma once
// FileWatcher: one inotify instance for many watches (the machine has few instances: 128 by
// default). All methods and handlers on the executor given. A watch ends by remove(), or by itself
// when its file is deleted (the handler sees IN_IGNORED last).
#include <sys/inotify.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "api/base/task.h"

namespace moth::os {

class FileWatcher {
 public:
  // `mask` as of inotify(7), IN_Q_OVERFLOW (delivered to every handler) means events were lost:
  // look again. `name` is the entry of a watched folder, or empty. A handler may add and remove
  // watches.
  using Handler = std::function<void(std::uint32_t mask, std::string_view name)>;
  using WatchId = int;

  static Result<std::unique_ptr<FileWatcher>> create(asio::any_io_executor executor);
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

  // Several watches of one file share a kernel watch and each see the union of their masks.
  Result<WatchId> add(const std::string& path, std::uint32_t mask, Handler handler);
  void remove(WatchId id);

 private:
  struct State;
  explicit FileWatcher(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace moth::os
