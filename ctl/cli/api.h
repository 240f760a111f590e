#pragma once
// Api: an API server as a command sees it: calls that block until their answer is there. It drives
// its own event loop on the calling thread inside each call, so commands need no coroutines.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json.h"
#include "api/base/task.h"
#include "api/client/http/exec_stream.h"
#include "api/client/http/rest_client.h"
#include "api/client/http/rest_mapper.h"
#include "api/client/object_client.h"
#include "ctl/cli/failure.h"

namespace moth::ctl {

using client::ApiResource;
using client::QueryList;
using client::RestRequest;
using SteadyTime = std::chrono::steady_clock::time_point;
inline constexpr SteadyTime kForever = SteadyTime::max();

enum class StreamEnd { kEnded, kStopped, kTimedOut };

// What happens at this end of exec and attach.
struct ExecOptions {
  bool stdin_open = false;
  bool tty = false;  // the terminal is in raw mode for the time of the session
  std::function<void(std::string_view)> out, err;
  // Instead of the keyboard: the next piece of stdin, empty at its end. Asked when there is room.
  std::function<std::string()> source;
};

class Api {
 public:
  static Outcome<std::unique_ptr<Api>> connect(KubeEndpoint endpoint, client::RestOptions options);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  const KubeEndpoint& endpoint() const;

  Outcome<Json> json(RestRequest request);
  Outcome<std::string> text(RestRequest request);
  // Calls `line` for each line of a streamed answer until it says false.
  Outcome<StreamEnd> lines(RestRequest request, std::function<bool(std::string_view line)> line,
                           SteadyTime deadline = kForever);
  // The same by whatever pieces arrive.
  Outcome<StreamEnd> pieces(RestRequest request, std::function<bool(std::string_view piece)> piece);
  // Several streams of lines at once, until all have ended. A stream that fails does not stop the
  // others: its error goes to `failed`.
  void lines_of_all(std::vector<RestRequest> requests,
                    std::function<void(std::size_t index, std::string_view line)> line,
                    std::function<void(std::size_t index, const Failure& failure)> failed);
  Outcome<client::ExecEnd> exec(RestRequest request, ExecOptions options);
  void sleep(std::chrono::milliseconds duration);

  // For what runs several things at once: the client, its executor, and a task driven to its end
  // (false: it was cut off by an exception).
  client::RestClient& rest();
  asio::any_io_executor executor();
  bool run(Task<void> task);

  // Discovery, asked for once.
  Outcome<const client::RestMapper*> mapper();
  // A resource by what somebody typed; `the server doesn't have a resource type "x"`.
  Outcome<const ApiResource*> resource(std::string_view word);

  // Objects.
  Outcome<Json> get(const ApiResource& resource, std::string_view ns, std::string_view name,
                    std::string_view subresource = "");
  // Every page; the list as one document. `ns` may be empty: all namespaces.
  Outcome<Json> list(const ApiResource& resource, std::string_view ns, QueryList query = {});
  Outcome<Json> create(const ApiResource& resource, std::string_view ns, const Json& object,
                       QueryList query = {});
  Outcome<Json> patch(const ApiResource& resource, std::string_view ns, std::string_view name,
                      client::PatchType type, const Json& patch, QueryList query = {},
                      std::string_view subresource = "");
  Outcome<Json> replace(const ApiResource& resource, std::string_view ns, std::string_view name,
                        const Json& object, QueryList query = {},
                        std::string_view subresource = "");
  // The terminating object, or a Status with the uid in its details.
  Outcome<Json> remove(const ApiResource& resource, std::string_view ns, std::string_view name,
                       const Json& options);

  // Shows `look` the object as it is now and after every change (null: there is none) until it says
  // true or fails. kTimedOut at the deadline.
  Outcome<StreamEnd> follow_object(const ApiResource& resource, const std::string& ns,
                                   const std::string& name,
                                   const std::function<Outcome<bool>(const Json* object)>& look,
                                   SteadyTime deadline = kForever);

 private:
  struct Loop;
  explicit Api(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
  std::optional<client::RestMapper> mapper_;
};

}  // namespace moth::ctl
