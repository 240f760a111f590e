#pragma once
// Application: the composition root, the only place that knows every part. Services start in the
// order of the members and stop in reverse.
#include <memory>

#include "api/base/executors.h"
#include "api/base/result.h"
#include "daemon/config.h"

namespace moth {

class Application {
 public:
  explicit Application(Config config);
  ~Application();

  // Runs on the calling thread, which becomes control, until a SIGTERM or SIGINT (detach: the
  // containers stay) or request_stop(). The exit code.
  int run();
  // Any thread.
  void request_stop();
  // Where the API listens, once run() reports ready (port 0 was resolved). For tests.
  std::string api_url() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moth
