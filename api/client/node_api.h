#pragma once
// NodeApi: what the API server asks of the node agent: logs, streams, usage and images. The agent
// implements it; a control plane without a node has none. Methods of NodeApi on the control thread;
// the streams they give are used on the io thread by one coroutine per direction.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/stream.h"
#include "api/machinery/object.h"

namespace moth::client {

enum class LogStream : std::uint8_t { kAll, kStdout, kStderr };

struct LogOptions {
  std::string container;
  LogStream stream = LogStream::kAll;
  bool follow = false;
  bool previous = false;
  bool timestamps = false;
  std::optional<WallTime> since;
  std::optional<std::int64_t> tail_lines;
  std::optional<std::int64_t> limit_bytes;
};

class LogReader {
 public:
  virtual ~LogReader() = default;
  // The next bytes (at most 64 KiB); empty at the end. With follow it waits. Cancellable.
  virtual Task<Result<std::string>> read() = 0;
};

struct ExecOptions {
  std::string container;
  std::vector<std::string> command;  // empty: attach to the container's own process
  bool stdin_open = false, stdout_open = false, stderr_open = false, tty = false;
};

enum class StreamChannel : std::uint8_t { kStdout = 1, kStderr = 2 };

struct ExecOutput {
  StreamChannel channel = StreamChannel::kStdout;
  std::string data;  // empty: the process ended and `exit_code` holds
  int exit_code = 0;
};

class ExecSession {
 public:
  virtual ~ExecSession() = default;  // kills the process if it still runs (not for attach)
  // Output in order; at the end one ExecOutput with empty data. Cancellable.
  virtual Task<Result<ExecOutput>> read() = 0;
  virtual Task<Result<>> write_stdin(std::string data) = 0;
  virtual Task<Result<>> close_stdin() = 0;
  virtual Task<Result<>> resize(int width, int height) = 0;
};

struct ContainerUsage {
  std::string name;
  std::int64_t cpu_nano_cores = 0;  // rate over the window
  std::int64_t memory_bytes = 0;    // working set
};

struct PodUsage {
  std::string ns, name, uid;
  WallTime timestamp;
  Duration window{};
  std::vector<ContainerUsage> containers;
};

struct NodeUsage {
  std::string name;
  WallTime timestamp;
  Duration window{};
  std::int64_t cpu_nano_cores = 0;
  std::int64_t memory_bytes = 0;
};

// Progress lines of long image work, for people.
using ProgressSink = std::function<void(std::string line)>;

class NodeApi {
 public:
  virtual ~NodeApi() = default;
  virtual Task<Result<std::unique_ptr<LogReader>>> logs(ObjectPtr pod, LogOptions options) = 0;
  // exec, or attach when the command is empty.
  virtual Task<Result<std::unique_ptr<ExecSession>>> exec(ObjectPtr pod, ExecOptions options) = 0;
  // A connection to `port` on localhost inside the pod's network namespace, so that servers which
  // listen on 127.0.0.1 alone are reached too. The stream lives on io. Errors are in upstream's
  // words.
  virtual Task<Result<http::RawStream>> connect(ObjectPtr pod, int port) = 0;
  // The newest samples; pods without two samples yet are left out.
  virtual std::vector<PodUsage> pod_usage() = 0;
  virtual std::optional<NodeUsage> node_usage() = 0;

  // Images, for `moth image` and `moth build`. Requests and answers are small JSON objects:
  // {"images":[{"names":[..],"digest":..,"size":..,"created":..}]}.
  virtual Task<Result<Json>> image_list() = 0;
  virtual Task<Result<Json>> image_load(std::string archive_path, ProgressSink progress) = 0;
  virtual Task<Result<Json>> image_pull(std::string reference, ProgressSink progress) = 0;
  virtual Task<Result<Json>> image_remove(std::string reference) = 0;
  virtual Task<Result<Json>> image_prune() = 0;
  // {"context":dir,"file":path,"tags":[name],"args":{k:v},"target":stage,"noCache":bool,
  // "volumes":{host:path}}
  virtual Task<Result<Json>> image_build(Json request, ProgressSink progress) = 0;
};

}  // namespace moth::client
