#pragma once
// Reads the CRI log of one run of a container, over its rotated files, and follows it while the run
// lives. The pure part (LogFilter) turns CRI lines into what `kubectl logs` prints.
#include <functional>
#include <memory>
#include <string>

#include "api/base/executors.h"
#include "api/client/node_api.h"
#include "runtime/os/inotify.h"

namespace moth::agent {

// Applies stream, since, timestamps and the byte limit to CRI lines (`TIME STREAM F|P TEXT`).
// Partial lines are joined. Pure state machine.
class LogFilter {
 public:
  explicit LogFilter(const client::LogOptions& options);
  // `lines` is any piece of a log file, cut anywhere. Appends what is to be shown.
  void take(std::string_view bytes, std::string& out);
  // The byte limit is reached: nothing more is to be shown.
  bool done() const { return done_; }

 private:
  void take_line(std::string_view line, std::string& out);
  client::LogOptions options_;
  std::string rest_;
  bool line_open_ = false;  // the last piece was partial
  bool skipping_ = false;   // of a line that is too old
  std::int64_t left_;
  bool done_ = false;
};

// Where the last `lines` whole lines of a file of `size` bytes begin, and how many there are from
// there. P pieces count with the F that ends them. Reads backwards in blocks of 64 KiB: `read`
// gives so many bytes from an offset.
struct TailPosition {
  std::uint64_t offset = 0;
  std::int64_t lines = 0;
};
using BlockReader = std::function<Result<std::string>(std::uint64_t offset, std::size_t size)>;
Result<TailPosition> find_tail(const BlockReader& read, std::uint64_t size, std::int64_t lines);

struct LogSource {
  std::string path;     // of the current file; rotated ones are path.1 (newest), path.2...
  std::string run_dir;  // bundle of the run: exit.json appears there when it ended
  // Whether the run still lives. io executor.
  std::function<Task<bool>()> alive;
};

std::unique_ptr<client::LogReader> make_log_reader(Executors& executors, os::FileWatcher& watcher,
                                                   LogSource source, client::LogOptions options);

}  // namespace moth::agent
